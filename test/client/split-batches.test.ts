import { expect, test } from 'vitest';
import { batchRecovery } from '../../src/client/producer/batch-recovery.js';
import { PendingSend } from '../../src/client/producer/pending-send.js';
import {
  type ClosedBatch,
  type PartitionQueue,
  RecordAccumulator,
} from '../../src/client/producer/record-accumulator.js';
import { DEFAULT_RETRY } from '../../src/client/retry.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { readBatchHeader } from '../../src/record/batch-header.js';
import { InProcessCluster } from '../../src/testing/index.js';

const LAST_SEQUENCE = 2 ** 31 - 1;

// Goal: the pieces of a batch that is too large carry on each other's sequences, which go from 2^31 - 1 on to 0. Method: a batch of six
// records is refused, and so is each piece of more than one, for each place of the wrap in it.
test.each([0, 1, 2, 3, 4, 5, 6])('pieces of a batch go on behind the last sequence (%i before it)', (before) => {
  const { runtime, Kafka } = new InProcessCluster();
  const accumulator = new RecordAccumulator({
    runtime,
    batchSize: 60 * 1024,
    deliveryTimeoutMs: 1000,
    identity: () => ({ producerId: 1, producerEpoch: 0 }),
    onReady: () => {},
    onFailure: () => {},
    encrypt: undefined,
  });
  const [queue] = accumulator.queuesOf('t', 1) as [PartitionQueue];
  queue.nextSequence = LAST_SEQUENCE - before;
  const recordAt = () => ({ key: null, value: 'x', timestampMs: 0 });
  const settings = { acks: -1, timeoutMs: 1000, compression: 0 } as const;
  accumulator.append(queue, { recordAt, from: 0, to: 6 }, new PendingSend(), settings);
  accumulator.close(queue);
  const recovery = batchRecovery({
    runtime,
    accumulator,
    retry: DEFAULT_RETRY,
    logger: new Kafka().logger(),
    encryption: undefined,
    wake: () => {},
    renewIdentity: async (old) => old,
    onStaleTopic: () => {},
    fail: () => {},
    settleFailed: () => {},
  });
  const { closed } = queue;
  for (let large: ClosedBatch | undefined = closed[0]; large; large = closed.find((each) => each.recordCount > 1)) {
    closed.splice(closed.indexOf(large), 1);
    large.attempts++;
    recovery.recover(large, new KafkaError('MESSAGE_TOO_LARGE', 'injected'));
  }
  const expected = Array.from({ length: 6 }, (_, i) => (LAST_SEQUENCE - before + i) % 2 ** 31);
  expect(closed.map(({ bytes }) => readBatchHeader(bytes).baseSequence)).toEqual(expected);
  expect(closed.map(({ baseSequence }) => baseSequence)).toEqual(expected);
});
