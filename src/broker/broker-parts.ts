/**
 * The parts of a broker that its first records do not need. Each is asked for whenever it is used; where loading fails,
 * it rejects with a KafkaError COORDINATOR_NOT_AVAILABLE, and the next call may succeed. A worker loads them as modules of
 * their own (`host.worker.ts`); what is one module graph has them at once (`static-parts.ts`).
 */
export interface BrokerParts {
  readonly groups: () => Promise<Pick<typeof import('./coordinator/group-coordinator.js'), 'GroupCoordinator'>>;
  /** Makes topics, those that come by themselves included. */
  readonly topics: () => Promise<
    Pick<typeof import('./create-topics.js'), 'createTopics' | 'createMissing' | 'createOffsetsTopic'>
  >;
  readonly admin: () => Promise<Pick<typeof import('./admin-handlers.js'), 'adminHandlers'>>;
  /** What a broker does when nobody asks. */
  readonly maintenance: () => Promise<Pick<typeof import('./maintenance.js'), 'Maintenance'>>;
  readonly sealing: () => Promise<Pick<typeof import('./keep-sealed.js'), 'keepSealed'>>;
  readonly integrity: () => Promise<Pick<typeof import('./integrity-handlers.js'), 'integrityHandlers'>>;
  readonly room: () => Promise<Pick<typeof import('./room-keeper.js'), 'RoomKeeper'>>;
  readonly timestamps: () => Promise<Pick<typeof import('../log/offset-for-timestamp.js'), 'offsetForTimestamp'>>;
  readonly transactions: () => Promise<typeof import('./transactions-part.js')>;
}
