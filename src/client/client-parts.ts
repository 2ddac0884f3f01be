/** The code of the clients in parts, each loaded when first used. */
export interface ClientParts {
  readonly producer: () => Promise<Pick<typeof import('./producer/producer.js'), 'makeProducer'>>;
  /** What a producer does about failed requests; where it is not given, the producer's code loads it. */
  readonly recovery?: () => Promise<Pick<typeof import('./producer/batch-recovery.js'), 'batchRecovery'>>;
  readonly consumer: () => Promise<Pick<typeof import('./consumer/consumer.js'), 'makeConsumer'>>;
  /** What a consumer with a `groupId` needs besides. */
  readonly group: () => Promise<Pick<typeof import('./consumer/consumer-group.js'), 'consumerGroup'>>;
  /** What iterating over a consumer needs besides. */
  readonly iteration: () => Promise<Pick<typeof import('./consumer/message-iteration.js'), 'iterateMessages'>>;
  readonly admin: () => Promise<Pick<typeof import('./admin.js'), 'makeAdmin'>>;
  readonly storage: () => Promise<Pick<typeof import('./storage-watch.js'), 'storageState' | 'storageChanges'>>;
}

/** As modules of their own, which bundlers leave apart. */
export const LOADED_PARTS: { -readonly [P in keyof ClientParts]: ClientParts[P] } = {
  producer: () => import('./producer/producer.js'),
  consumer: () => import('./consumer/consumer.js'),
  group: () => import('./consumer/consumer-group.js'),
  iteration: () => import('./consumer/message-iteration.js'),
  admin: () => import('./admin.js'),
  storage: () => import('./storage-watch.js'),
};

/** These came with the page (`src/consumer.ts`): nothing is loaded when they are used. */
export function addParts(parts: Partial<ClientParts>): void {
  Object.assign(LOADED_PARTS, parts);
}
