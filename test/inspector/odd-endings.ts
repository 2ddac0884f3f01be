import { attributesOf } from '../../src/record/batch-attributes.js';
import { sealBatch } from '../../src/record/batch-checksum.js';
import { batchesIn, readBatchHeader } from '../../src/record/batch-header.js';
import { LAST_OFFSET_DELTA_AT } from '../../src/record/batch-layout.js';
import { encodeMarker } from '../../src/record/control-record.js';
import { emptiedBatch } from '../../src/record/rewritten-batch.js';
import { concatBytes, setInt32 } from '../../src/util/bytes.js';
import { batch, transactional, withBaseOffset } from '../log/harness.js';

/** A log whose last records are not what it ends with. */
export interface OddEnding {
  readonly name: string;
  /** A segment of Kafka. */
  readonly segment: Uint8Array<ArrayBuffer>;
  /** What a reader of committed records finds. */
  readonly values: readonly string[];
  readonly high: number;
}

const PRODUCER = { id: 7, epoch: 0 };

export const ODD_ENDINGS: readonly OddEnding[] = [
  {
    name: 'a commit marker',
    segment: inOrder([transactional(0, ['a', 'b'], PRODUCER), marker('commit')]),
    values: ['a', 'b'],
    high: 3,
  },
  {
    name: 'records of an aborted transaction and its marker',
    segment: inOrder([batch(['a']), transactional(0, ['x', 'y'], PRODUCER), marker('abort')]),
    values: ['a'],
    high: 4,
  },
  {
    name: 'a transaction that is open',
    segment: inOrder([batch(['a', 'b']), transactional(0, ['x'], PRODUCER), batch(['behind'])]),
    values: ['a', 'b'],
    high: 4,
  },
  {
    name: 'nothing but an open transaction',
    segment: inOrder([transactional(0, ['x'], PRODUCER)]),
    values: [],
    high: 1,
  },
  {
    name: 'offsets that compaction took out of a batch',
    segment: inOrder([batch(['a', 'b']), withLastOffsetDelta(batch(['c']), 5)]),
    values: ['a', 'b', 'c'],
    high: 8,
  },
  {
    name: 'a batch that compaction has emptied',
    segment: inOrder([batch(['a']), emptiedBatch(readBatchHeader(transactional(0, ['x', 'y'], PRODUCER)))]),
    values: ['a'],
    high: 3,
  },
];

function marker(type: 'commit' | 'abort'): Uint8Array<ArrayBuffer> {
  return batch([encodeMarker({ type, coordinatorEpoch: 0 })], {
    producerId: PRODUCER.id,
    producerEpoch: PRODUCER.epoch,
    attributes: attributesOf({ isTransactional: true, isControl: true }),
  });
}

function withLastOffsetDelta(bytes: Uint8Array<ArrayBuffer>, delta: number): Uint8Array<ArrayBuffer> {
  setInt32(bytes, LAST_OFFSET_DELTA_AT, delta);
  sealBatch(bytes, 0, bytes.byteLength);
  return bytes;
}

function inOrder(batches: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  let nextOffset = 0;
  const stamped = batches.map((bytes) => {
    const copy = withBaseOffset(bytes, nextOffset);
    for (const { header } of batchesIn(copy)) nextOffset = header.baseOffset + header.lastOffsetDelta + 1;
    return copy;
  });
  return concatBytes(stamped);
}
