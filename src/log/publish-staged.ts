import type { LogStore, SealedChange } from '../storage/log-store.js';

/**
 * Publishes what was staged, or drops it: bytes that this leader leaves, only the next one sweeps.
 * @throws KafkaError as `LogStore.publishSealed`
 */
export async function publishStaged(store: LogStore, change: SealedChange, leaderEpoch: number): Promise<void> {
  try {
    await store.publishSealed(change, leaderEpoch);
  } catch (error) {
    await store.dropStaged(change.sealed).catch(() => {});
    throw error;
  }
}
