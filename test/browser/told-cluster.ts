import type { Admin, ClusterDescription, Kafka, LogCheck, LogDescription, StorageState } from '../../src/index.js';

type Partition = LogDescription['partitions'][number];

/** What a told cluster answers; whoever changes it changes the next answer. */
export interface Told {
  logs: LogDescription[];
  hosts: ClusterDescription['hosts'];
  groups: { groupId: string; topic: string; offsets: string[] }[];
  check: (progress: (checkedLogs: number) => void) => Promise<LogCheck>;
  storage: StorageState;
  /** Instead of any answer. */
  fails?: Error | undefined;
  hangs?: boolean;
}

export function partitions(count: number, highWatermark = 0, sizeInBytes = 80 * highWatermark): Partition[] {
  return Array.from({ length: count }, (_, partition) => {
    return { partition, logStartOffset: '0', highWatermark: String(highWatermark), sizeInBytes };
  }) as Partition[];
}

/** A cluster that says what it is told to, so that the inspector can be looked at with more than any test would write. */
export function toldKafka(told: Told): Kafka {
  const answer = async <T>(value: () => T): Promise<T> => {
    if (told.hangs) await new Promise(() => {});
    if (told.fails) throw told.fails;
    return value();
  };
  const admin = {
    connect: async () => {},
    disconnect: async () => {},
    describeLogs: ({ topics }: { topics?: string[] } = {}) =>
      answer(() => told.logs.filter(({ topic }) => topics?.includes(topic) ?? true)),
    describeCluster: () => answer(() => ({ hosts: told.hosts })),
    listGroups: () => answer(() => ({ groups: told.groups })),
    describeGroups: () =>
      answer(() => ({ groups: told.groups.map((one) => ({ ...one, state: 'Stable', members: [{}] })) })),
    fetchOffsets: ({ groupId }: { groupId: string }) =>
      answer(() =>
        told.groups
          .filter((group) => group.groupId === groupId)
          .map(({ topic, offsets }) => ({
            topic,
            partitions: offsets.map((offset, partition) => ({ partition, offset })),
          })),
      ),
    fetchTopicOffsets: (name: string) =>
      answer(() =>
        told.logs
          .filter(({ topic }) => topic === name)
          .flatMap((log) => log.partitions)
          .map(({ partition, logStartOffset, highWatermark }) => ({
            partition,
            low: logStartOffset,
            high: highWatermark,
          })),
      ),
    checkLogs: ({ onProgress, signal }: { onProgress: (progress: object) => void; signal: AbortSignal }) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        told
          .check((checkedLogs) => onProgress({ checkedLogs, logs: 12, checkedBytes: 1_000_000 * checkedLogs }))
          .then(resolve, reject);
      }),
  } satisfies Partial<Record<keyof Admin, unknown>>;
  const storage = {
    async *changes({ signal }: { signal: AbortSignal }) {
      yield told.storage;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
  };
  return { admin: () => admin, storage, close: async () => {} } as unknown as Kafka;
}
