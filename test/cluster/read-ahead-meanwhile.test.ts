import { expect, test } from 'vitest';
import { ReadAhead } from '../../src/cluster/read-ahead.js';
import { deleteRecordsBefore } from '../../src/log/log-upkeep.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { batchesIn, lastOffsetOf } from '../../src/record/batch-header.js';
import { calling } from '../log/calling.js';
import { batch, LOG, leader } from '../log/harness.js';

const RECORDS = 120;
const VALUE = 'x'.repeat(30_000);

// Goal: whoever reads a log while it is sealed or cut gets every record that is left, once, in order, and hears of no gap.
// Method: the log changes at each of the calls to the store that reading it through makes, one by one.
test.each<{ what: string; change: (log: PartitionLog) => Promise<unknown> }>([
  { what: 'sealed', change: (log) => sealClosedSegments(log, new AbortController().signal) },
  { what: 'cut', change: (log) => deleteRecordsBefore(log, 70) },
])('a log that is $what while it is read', async ({ change }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    const { open, store: inner } = await leader();
    const log = await open({ topicConfig: { 'segment.bytes': '400000' } });
    for (let i = 0; i < RECORDS; i++) await log.append(batch([VALUE]), 'client');
    let left = calls;
    const store = calling(inner, async () => void (--left === 0 && (await change(log))));
    const offsets = await readThrough(new ReadAhead(store), () => log.logStartOffset);
    const found = new Set(offsets);
    expect(offsets).toEqual([...found].sort((a, b) => a - b));
    const missing = Array.from({ length: RECORDS }, (_, offset) => offset).filter((offset) => !found.has(offset));
    expect(missing.filter((offset) => offset >= log.logStartOffset)).toEqual([]);
    isDone = left > 0;
  }
});

async function readThrough(ahead: ReadAhead, logStartOffset: () => number): Promise<number[]> {
  const offsets: number[] = [];
  for (let offset = 0; offset < RECORDS; ) {
    try {
      for (const chunk of await ahead.read({ log: LOG, offset }, 200_000, RECORDS)) {
        for (const { header } of batchesIn(chunk)) {
          for (let at = Math.max(offset, header.baseOffset); at <= lastOffsetOf(header); at++) offsets.push(at);
          offset = Math.max(offset, lastOffsetOf(header) + 1);
        }
      }
    } catch (error) {
      if (!(error instanceof KafkaError) || error.type !== 'OFFSET_OUT_OF_RANGE') throw error;
      offset = Math.max(offset, logStartOffset());
    }
  }
  return offsets;
}
