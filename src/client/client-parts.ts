/** The code of each kind of client, a part of its own that is loaded when first used. */
export interface ClientParts {
  readonly producer: () => Promise<Pick<typeof import('./producer/producer.js'), 'makeProducer'>>;
  readonly consumer: () => Promise<Pick<typeof import('./consumer/consumer.js'), 'makeConsumer'>>;
  readonly admin: () => Promise<Pick<typeof import('./admin.js'), 'makeAdmin'>>;
  readonly storage: () => Promise<Pick<typeof import('./storage-watch.js'), 'storageState' | 'storageChanges'>>;
}

/** As modules of their own, which bundlers leave apart. */
export const LOADED_PARTS: ClientParts = {
  producer: () => import('./producer/producer.js'),
  consumer: () => import('./consumer/consumer.js'),
  admin: () => import('./admin.js'),
  storage: () => import('./storage-watch.js'),
};
