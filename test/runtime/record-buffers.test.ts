import { expect, test } from 'vitest';
import type { FetchResponse, ProduceRequest } from '../../src/protocol/requests.js';
import { requestBuffers, responseBuffers } from '../../src/runtime/record-buffers.js';

function produce(...records: Uint8Array[]): ProduceRequest {
  const partitionData = records.map((bytes, index) => ({ index, records: bytes }));
  return { transactionalId: null, acks: -1, timeoutMs: 1000, topicData: [{ name: 'orders', partitionData }] };
}

function fetched(...records: Uint8Array[]): FetchResponse {
  const partition = {
    partitionIndex: 0,
    errorCode: 0,
    errorMessage: null,
    highWatermark: 0,
    lastStableOffset: 0,
    logStartOffset: 0,
    abortedTransactions: [],
    records,
  };
  return { incarnationId: 'one', responses: [{ topic: 'orders', partitions: [partition] }] };
}

test('the records of a Produce and of a Fetch are given away, each buffer once', () => {
  const shared = new ArrayBuffer(100);
  const own = Uint8Array.of(1);
  const views = [new Uint8Array(shared, 0, 10), own, new Uint8Array(shared, 50, 10)];
  expect(requestBuffers('Produce', produce(...views))).toEqual([shared, own.buffer]);
  expect(responseBuffers('Fetch', fetched(...views))).toEqual([shared, own.buffer]);
});

test('nothing else is', () => {
  expect(requestBuffers('Metadata', { topics: null, allowAutoTopicCreation: false })).toEqual([]);
  expect(responseBuffers('Fetch', fetched(new Uint8Array(new SharedArrayBuffer(8))))).toEqual([]);
  expect(responseBuffers('Fetch', fetched(new Uint8Array(0)))).toEqual([]);
});

test('records that were given away before are not sent again as nothing', () => {
  const records = Uint8Array.of(1, 2, 3);
  structuredClone(records, { transfer: [records.buffer] });
  expect(() => requestBuffers('Produce', produce(records))).toThrow('not given away before');
});
