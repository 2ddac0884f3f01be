import { type CompactedLog, LogCleaner, type LogCleanerOptions } from '../log/compaction/log-cleaner.js';
import type { PartitionLog } from '../log/partition-log.js';
import { KafkaError } from '../protocol/errors.js';
import type { LogId } from '../storage/log-store.js';
import { logOf, type MetadataImage, type PartitionImage, type TopicImage } from './metadata-image.js';

export interface TopicCleanerOptions extends LogCleanerOptions {
  readonly partitions: {
    readonly image: () => MetadataImage;
    readonly open: (topic: TopicImage, partition: PartitionImage) => Promise<PartitionLog>;
  };
}

/** Finds the logs that are to be compacted, for the cleaner. */
export class TopicCleaner {
  readonly #partitions: TopicCleanerOptions['partitions'];
  readonly #cleaner: LogCleaner;

  constructor({ partitions, ...options }: TopicCleanerOptions) {
    this.#partitions = partitions;
    this.#cleaner = new LogCleaner(options);
  }

  /** Cleans what needs it, of all compacted logs or of `only` these. */
  clean(only: ReadonlySet<LogId> | undefined, signal: AbortSignal): Promise<void> {
    const logs = [...this.#partitions.image().topics.values()].filter(isCompacted).flatMap(this.#logsOf);
    return this.#cleaner.cleanAll(only ? logs.filter(({ log }) => only.has(log)) : logs, signal);
  }

  readonly #logsOf = (topic: TopicImage): CompactedLog[] => {
    const { image, open } = this.#partitions;
    return topic.partitions.map((partition) => ({
      log: partition.log,
      config: () => image().topics.get(topic.name)?.config ?? topic.config,
      open: async () => {
        if (logOf(image(), topic.name, partition.partitionId) === partition.log) return open(topic, partition);
        throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `topic ${topic.name} was deleted`);
      },
    }));
  };
}

/** Internal ones are not looked after: the coordinator rolls up its log by itself. */
function isCompacted({ isInternal, config }: TopicImage): boolean {
  return config.cleanupPolicy.compact && !isInternal;
}
