import { expect, test } from 'vitest';
import { readMessages } from '../../src/client/consumer/message.js';
import { sealBatch } from '../../src/record/batch-checksum.js';
import { RecordBatchBuilder } from '../../src/record/record-batch-builder.js';
import { finishBatch } from '../record/finish-batch.js';

// A host that reads ahead may meet a log before and after its batches were merged: what it answers then overlaps.
test('records that two chunks of one fetch have in common are read once', async () => {
  const chunks = [batch(0, 3), batch(0, 5), batch(2, 4), batch(4, 7)];
  const context = { topic: 'a', partition: 0, keySerde: undefined, valueSerde: undefined, encryption: undefined };
  const { messages, nextOffset } = await readMessages(chunks, 1, { ...context, abortedTransactions: [] });
  expect(messages.map(({ offset, value }) => [offset, String(value)])).toEqual(
    [1, 2, 3, 4, 5, 6].map((offset) => [`${offset}`, `value-${offset}`]),
  );
  expect(nextOffset).toBe(7);
});

// As Kafka's CompletedFetch: an error comes when what is before it was handed out.
test('records before a batch that cannot be read come first', async () => {
  const damaged = batch(3, 6);
  damaged.fill(0xff, 80);
  sealBatch(damaged, 0, damaged.length);
  const context = { topic: 'a', partition: 0, keySerde: undefined, valueSerde: undefined, encryption: undefined };
  const read = (offset: number) =>
    readMessages([batch(0, 3), damaged], offset, { ...context, abortedTransactions: [] });
  const { messages, nextOffset } = await read(0);
  expect([messages.length, nextOffset]).toEqual([3, 3]);
  await expect(read(3)).rejects.toMatchObject({ type: 'CORRUPT_MESSAGE' });
});

/** The records from `baseOffset` to `endOffset` (exclusive). */
function batch(baseOffset: number, endOffset: number): Uint8Array {
  const builder = new RecordBatchBuilder();
  for (let offset = baseOffset; offset < endOffset; offset++) {
    builder.append({ key: null, value: `value-${offset}`, timestampMs: 1_000 + offset });
  }
  return finishBatch(builder, { baseOffset });
}
