import { beginsTransactional } from '../log/append-validation.js';
import type { PartitionLog } from '../log/partition-log.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { ProduceRequest, ProduceResponse } from '../protocol/requests.js';
import { unknownPartition } from './handle-metadata.js';
import type { MetadataImage, PartitionImage, TopicImage } from './metadata-image.js';

type Partition = ProduceResponse['responses'][number]['partitionResponses'][number];

export interface ProduceContext {
  image(): MetadataImage;
  open(topic: TopicImage, partition: PartitionImage): Promise<PartitionLog>;
}

/**
 * Appends each entry's batches for itself: what is beside a bad one is stored. Resolves once all are durable; with
 * acks 1 and -1 alike, since the one replica is all in-sync replicas. The order of calls, and of the entries of one
 * partition in a call, is the log's: every entry takes the same number of turns to its log, so that none overtakes.
 * @throws KafkaError INVALID_REQUIRED_ACKS: nothing was appended.
 */
export async function handleProduce(context: ProduceContext, request: ProduceRequest): Promise<ProduceResponse> {
  const { acks, topicData, transactionalId } = request;
  if (acks !== 0 && acks !== 1 && acks !== -1) {
    throw new KafkaError('INVALID_REQUIRED_ACKS', `acks: expected 0, 1 or -1, found ${String(acks)}`);
  }
  const responses = topicData.map(async ({ name, partitionData }) => ({
    name,
    partitionResponses: await Promise.all(
      partitionData.map(({ index, records }) => append(context, { name, index, records, acks, transactionalId })),
    ),
  }));
  return { responses: await Promise.all(responses) };
}

interface ProduceEntry extends Pick<ProduceRequest, 'acks' | 'transactionalId'> {
  readonly name: string;
  readonly index: number;
  readonly records: Uint8Array;
}

async function append(
  { image, open }: ProduceContext,
  { name, index, records, acks, transactionalId }: ProduceEntry,
): Promise<Partition> {
  try {
    const topic = image().topics.get(name);
    const partition = topic?.partitions[index];
    if (topic === undefined || partition === undefined) throw unknownPartition(topic, name, index);
    if (topic.isInternal) {
      throw new KafkaError('INVALID_TOPIC_EXCEPTION', `topic ${name} is internal: only the broker writes to it`);
    }
    if (transactionalId === null && beginsTransactional(records)) {
      const text = `${name}-${index}: expected plain batches without a transactional id, found transactional ones`;
      throw new KafkaError('INVALID_TXN_STATE', text);
    }
    const { minInsyncReplicas } = topic.config;
    if (acks === -1 && minInsyncReplicas > 1) {
      const text = `${name}-${index} has 1 in-sync replica, its min.insync.replicas is ${minInsyncReplicas}`;
      throw new KafkaError('NOT_ENOUGH_REPLICAS', text);
    }
    const { baseOffset, logAppendTimeMs, logStartOffset } = await (await open(topic, partition)).append(
      records,
      'client',
    );
    return { index, ...NO_ERROR, baseOffset, logAppendTimeMs, logStartOffset };
  } catch (error) {
    return { index, ...errorFields(error), ...NOT_APPENDED };
  }
}

const NOT_APPENDED = { baseOffset: -1, logAppendTimeMs: -1, logStartOffset: -1 } as const;
