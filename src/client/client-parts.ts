/** The code of the clients in parts, each loaded when first used. */
export interface ClientParts {
  readonly producer: () => Promise<Pick<typeof import('./producer/producer.js'), 'makeProducer'>>;
  /** What a producer does about failed requests; where it is not given, the producer's code loads it. */
  readonly recovery?: () => Promise<Pick<typeof import('./producer/batch-recovery.js'), 'batchRecovery'>>;
  readonly consumer: () => Promise<Pick<typeof import('./consumer/consumer.js'), 'makeConsumer'>>;
  readonly admin: () => Promise<Pick<typeof import('./admin.js'), 'makeAdmin'>>;
}

/** As modules of their own, which bundlers leave apart. */
export const LOADED_PARTS: ClientParts = {
  producer: () => import('./producer/producer.js'),
  consumer: () => import('./consumer/consumer.js'),
  admin: () => import('./admin.js'),
};
