import type { Endpoint } from 'comlink';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type {
  ApiName,
  FetchResponse,
  MetadataRequest,
  ProduceRequest,
  ProduceResponse,
} from '../../src/protocol/requests.js';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import type { HostStart } from '../../src/runtime/host-api.js';
import { type ServedHost, serveRequests } from '../../src/runtime/serve-requests.js';
import { assert } from '../../src/util/assert.js';
import { deferred, onAbort } from '../../src/util/signal.js';

// A host without a cluster. Produce answers with the sum of the bytes as base offset and keeps them; Fetch gives them
// back, in views of one buffer; topics of a Metadata request are commands.

let visible = true;
let cancelled = 0;
let kept: Uint8Array[] = [];
let lastSent: Uint8Array[] = [];

async function start(options: HostStart): Promise<ServedHost> {
  if (options.clusterName === 'refused') throw new KafkaError('KAFKA_STORAGE_ERROR', 'IndexedDB is denied');
  ({ visible } = options);
  const { locks, random } = browserRuntime();
  const hostId = random.uuid();
  const lockName = `echo/${hostId}`;
  await locks?.hold(lockName);
  return {
    hostId,
    lockName,
    requests: { send: send as RequestChannel['send'], close: async () => {} },
    visibility: (isVisible) => {
      visible = isVisible;
    },
    close: async () => {},
  };
}

async function send(api: ApiName, request: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
  switch (api) {
    case 'Produce':
      return produce(request as ProduceRequest);
    case 'Fetch':
      return fetched();
    case 'Metadata':
      return command((request as MetadataRequest).topics?.[0]?.name ?? '', signal);
    default:
      throw new KafkaError('INVALID_REQUEST', `${api} is not for an echo`);
  }
}

function produce({ topicData }: ProduceRequest): ProduceResponse {
  kept = topicData.flatMap(({ partitionData }) => partitionData.map(({ records }) => records));
  const responses = topicData.map(({ name, partitionData }) => ({
    name,
    partitionResponses: partitionData.map(({ index, records }) => ({
      index,
      errorCode: 0,
      errorMessage: null,
      baseOffset: records.reduce((sum, byte) => sum + byte, 0),
      logAppendTimeMs: -1,
      logStartOffset: 0,
    })),
  }));
  return { responses };
}

function fetched(): FetchResponse {
  const joined = new Uint8Array(kept.reduce((size, { byteLength }) => size + byteLength, 0));
  let at = 0;
  lastSent = kept.map((bytes) => {
    joined.set(bytes, at);
    at += bytes.byteLength;
    return joined.subarray(at - bytes.byteLength, at);
  });
  const partition = {
    partitionIndex: 0,
    errorCode: 0,
    errorMessage: null,
    highWatermark: 0,
    lastStableOffset: 0,
    logStartOffset: 0,
    abortedTransactions: [],
    records: lastSent,
  };
  return { incarnationId: 'echo', responses: [{ topic: 'echo', partitions: [partition] }] };
}

async function command(name: string, signal: AbortSignal | undefined): Promise<unknown> {
  switch (name) {
    case 'state': {
      const sentBytes = lastSent.reduce((size, { byteLength }) => size + byteLength, 0);
      return { visible, cancelled, sentBytes };
    }
    case 'fail':
      throw new KafkaError('NOT_LEADER_OR_FOLLOWER', 'orders-3 is led by broker 2 since epoch 7');
    case 'bug':
      throw new TypeError('undefined is not a partition');
    case 'close':
      close();
      return new Promise(() => {});
    case 'throw':
      setTimeout(() => {
        throw new Error('out of the blue');
      });
      return new Promise(() => {});
    case 'assert':
      void Promise.resolve().then(() => assert(false, 'a broken invariant'));
      return new Promise(() => {});
    default: {
      const waiting = deferred();
      onAbort(signal, () => {
        cancelled++;
        waiting.reject(signal?.reason);
      });
      return waiting.promise;
    }
  }
}

serveRequests(globalThis as unknown as Endpoint, start);
