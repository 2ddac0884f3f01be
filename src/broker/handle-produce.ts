import { beginsTransactional } from '../log/append-validation.js';
import type { PartitionLog } from '../log/partition-log.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { ProduceRequest, ProduceResponse } from '../protocol/requests.js';
import { isQuotaExceeded } from '../storage/storage-errors.js';
import { unknownPartition } from './handle-metadata.js';
import type { MetadataImage, PartitionImage, TopicImage } from './metadata-image.js';
import type { RoomKeeper, RoomlessAppend } from './room-keeper.js';

type Partition = ProduceResponse['responses'][number]['partitionResponses'][number];

export interface ProduceContext {
  image(): MetadataImage;
  open(topic: TopicImage, partition: PartitionImage): Promise<PartitionLog>;
  incarnationId(): string;
  /** Only while the disk is full. */
  full(): RoomKeeper | undefined;
  /** An append was refused for want of space. */
  refused(error: unknown): Promise<RoomKeeper>;
}

/**
 * Appends each entry's batches for itself: what is beside a bad one is stored. Resolves once all are durable; with
 * acks 1 and -1 alike, since the one replica is all in-sync replicas. The order of calls, and of the entries of one
 * partition in a call, is the log's: every entry takes the same number of turns to its log, so that none overtakes.
 * @throws KafkaError INVALID_REQUIRED_ACKS: nothing was appended.
 */
export async function handleProduce(context: ProduceContext, request: ProduceRequest): Promise<ProduceResponse> {
  const { acks, timeoutMs, topicData, transactionalId, checksums } = request;
  if (acks !== 0 && acks !== 1 && acks !== -1) {
    throw new KafkaError('INVALID_REQUIRED_ACKS', `acks: expected 0, 1 or -1, found ${String(acks)}`);
  }
  const responses = topicData.map(async ({ name, partitionData }) => ({
    name,
    partitionResponses: await Promise.all(
      partitionData.map((entry) => append(context, { ...entry, name, acks, timeoutMs, transactionalId, checksums })),
    ),
  }));
  return { responses: await Promise.all(responses) };
}

type PartitionData = ProduceRequest['topicData'][number]['partitionData'][number];

interface Entry extends PartitionData, Pick<ProduceRequest, 'acks' | 'timeoutMs' | 'transactionalId' | 'checksums'> {
  readonly name: string;
}

async function append(context: ProduceContext, entry: Entry): Promise<Partition> {
  const { name, index, records, acks, timeoutMs, transactionalId, checksums } = entry;
  const { incarnationId = context.incarnationId() } = entry;
  try {
    if (incarnationId !== context.incarnationId()) {
      // A log without memory of a producer takes any first sequence: batches would change their order.
      const text = `${name}-${index}: the data that this producer id belongs to was cleared, nothing was written`;
      throw new KafkaError('UNKNOWN_PRODUCER_ID', text);
    }
    const topic = context.image().topics.get(name);
    const partition = topic?.partitions[index];
    if (topic === undefined || partition === undefined) throw unknownPartition(topic, name, index);
    if (entry.log !== undefined && entry.log !== partition.log) {
      const text = `${name}-${index} was made anew: expected batches for log ${partition.log}, found ${entry.log}`;
      throw new KafkaError('UNKNOWN_TOPIC_ID', text);
    }
    if (topic.isInternal) {
      throw new KafkaError('INVALID_TOPIC_EXCEPTION', `topic ${name} is internal: only the broker writes to it`);
    }
    if (transactionalId === null && beginsTransactional(records)) {
      const text = `${name}-${index}: expected plain batches without a transactional id, found transactional ones`;
      throw new KafkaError('INVALID_TXN_STATE', text);
    }
    const { minInsyncReplicas, storageFullPolicy: policy } = topic.config;
    if (acks === -1 && minInsyncReplicas > 1) {
      const text = `${name}-${index} has 1 in-sync replica, its min.insync.replicas is ${minInsyncReplicas}`;
      throw new KafkaError('NOT_ENOUGH_REPLICAS', text);
    }
    const log = (): Promise<PartitionLog> => context.open(topic, partition);
    const { baseOffset, logAppendTimeMs, logStartOffset } = await whereThereIsRoom(context, {
      name: `${name}-${index}`,
      policy,
      timeoutMs,
      append: async () => (await log()).append(records, 'client', checksums),
      log,
    });
    return { index, ...NO_ERROR, baseOffset, logAppendTimeMs, logStartOffset, log: partition.log };
  } catch (error) {
    return { index, ...errorFields(error), ...NOT_APPENDED };
  }
}

const NOT_APPENDED = { baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 } as const;

async function whereThereIsRoom<T>(context: ProduceContext, entry: RoomlessAppend<T>): Promise<T> {
  const full = context.full();
  if (full !== undefined) return full.append(entry);
  try {
    return await entry.append();
  } catch (error) {
    if (!isQuotaExceeded(error)) throw error;
    return (await context.refused(error)).append(entry);
  }
}
