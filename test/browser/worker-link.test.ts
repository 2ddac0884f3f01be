import { assert } from 'chai';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { FetchRequest, MetadataRequest, ProduceRequest } from '../../src/protocol/requests.js';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { LINK_VERSION } from '../../src/runtime/host-api.js';
import { WorkerLink, type WorkerLinkOptions } from '../../src/runtime/worker-link.js';
import { openWorkerLink } from '../../src/runtime/worker-links.js';
import { WorkerPeer } from '../../src/runtime/worker-peer.js';

interface EchoState {
  readonly visible: boolean;
  readonly cancelled: number;
  readonly sentBytes: number;
}

const FETCH: FetchRequest = { maxWaitMs: 0, minBytes: 0, maxBytes: 1, isolationLevel: 0, topics: [] };

describe('the link to a worker', () => {
  let workers: Worker[] = [];
  let links: RequestChannel[] = [];

  function options(clusterName = 'echo', changes: Partial<WorkerLinkOptions> = {}): WorkerLinkOptions {
    return {
      runtime: browserRuntime(),
      newWorker: () => {
        const worker = new Worker(new URL('./echo.worker.ts', import.meta.url), { type: 'module' });
        worker.addEventListener('error', (event) => event.preventDefault()); // else the page's own error handler has it too
        workers.push(worker);
        return worker;
      },
      workerUrl: '/echo.worker.js',
      start: { clusterName, brokerConfig: {}, label: 'test' },
      ...changes,
    };
  }

  function newLink(clusterName?: string, changes?: Partial<WorkerLinkOptions>): WorkerLink {
    const link = new WorkerLink(options(clusterName, changes));
    links.push(link);
    return link;
  }

  beforeEach(() => {
    workers = [];
    links = [];
  });
  afterEach(() => Promise.all(links.map((link) => link.close())));

  it('carries requests and responses', async () => {
    const link = newLink();
    const { responses } = await link.send('Produce', produce(Uint8Array.of(1, 2, 3), Uint8Array.of(4)));
    assert.deepEqual(
      responses[0]?.partitionResponses.map(({ baseOffset }) => baseOffset),
      [6, 4],
    );
    assert.match((await link.host()).lockName, /^echo\//);
    assert.lengthOf(workers, 1);
  });

  it('transfers record bytes both ways', async () => {
    const link = newLink();
    const buffer = new ArrayBuffer(1000);
    const views = [new Uint8Array(buffer, 0, 400).fill(1), new Uint8Array(buffer, 400, 600).fill(2)];
    await link.send('Produce', produce(...views));
    assert.strictEqual(buffer.byteLength, 0);

    const { responses } = await link.send('Fetch', FETCH);
    const [first, second] = responses[0]?.partitions[0]?.records ?? [];
    assert.deepEqual(first, new Uint8Array(400).fill(1));
    assert.deepEqual(second, new Uint8Array(600).fill(2));
    assert.strictEqual(first?.buffer, second?.buffer);
    assert.strictEqual((await state(link)).sentBytes, 0);
  });

  it('revives Kafka’s errors', async () => {
    const error = await failure(newLink().send('Metadata', metadata('fail')));
    assert.instanceOf(error, KafkaError);
    assert.strictEqual(error.type, 'NOT_LEADER_OR_FOLLOWER');
    assert.strictEqual(error.code, 6);
    assert.isTrue(error.retriable);
    assert.strictEqual(error.message, 'orders-3 is led by broker 2 since epoch 7');
  });

  it('rejects at once when its signal aborts, and tells the worker', async () => {
    const link = newLink();
    await link.host();
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting = failure(link.send('Metadata', metadata('wait'), { signal: controller.signal }));
    const other = link.send('Metadata', metadata('state'));
    controller.abort(reason);
    assert.strictEqual(await waiting, reason as KafkaError);
    await other;
    assert.strictEqual((await state(link)).cancelled, 1);
    assert.strictEqual(
      await failure(link.send('Metadata', metadata('state'), { signal: controller.signal })),
      reason as KafkaError,
    );
  });

  it('fails what is in flight when the worker is terminated, and starts another for what follows', async () => {
    const link = newLink();
    const { hostId } = await link.host();
    const waiting = [1, 2, 3].map(() => failure(link.send('Metadata', metadata('wait'))));
    workers[0]?.terminate();
    for (const error of await Promise.all(waiting)) {
      assert.strictEqual(error.type, 'NETWORK_EXCEPTION');
      assert.isTrue(error.retriable);
    }
    await state(link);
    assert.notStrictEqual((await link.host()).hostId, hostId);
    assert.lengthOf(workers, 2);
  });

  it('fails what is in flight when the worker closes itself', async () => {
    const link = newLink();
    assert.strictEqual((await failure(link.send('Metadata', metadata('close')))).type, 'NETWORK_EXCEPTION');
  });

  it('ends a worker that throws: it may be confused', async () => {
    const link = newLink();
    const error = await failure(link.send('Metadata', metadata('throw')));
    assert.strictEqual(error.type, 'NETWORK_EXCEPTION');
    assert.include(error.message, 'out of the blue');
    await state(link);
    assert.lengthOf(workers, 2);
  });

  it('ends a worker whose invariant broke, although nobody waited for it', async () => {
    const error = await failure(newLink().send('Metadata', metadata('assert')));
    assert.strictEqual(error.type, 'NETWORK_EXCEPTION');
    assert.include(error.message, 'a broken invariant');
  });

  it('fails a request that meets a bug, and ends the worker', async () => {
    const link = newLink();
    const error = await failure(link.send('Metadata', metadata('bug')));
    assert.include(['UNKNOWN_SERVER_ERROR', 'NETWORK_EXCEPTION'], error.type);
    assert.include(error.message, 'undefined is not a partition');
  });

  it('says why a worker may not be there, and where it was looked for', async () => {
    const newWorker = (): Worker => new Worker('/nowhere.worker.js', { type: 'module' });
    const error = await failure(newLink('echo', { newWorker, workerUrl: '/nowhere.worker.js' }).host());
    assert.strictEqual(error.type, 'BROKER_NOT_AVAILABLE');
    assert.include(error.message, '/nowhere.worker.js');
    assert.include(error.message, 'worker-src');
  });

  it('does not wait for ever for a worker that does not answer', async () => {
    const url = URL.createObjectURL(new Blob([''], { type: 'text/javascript' }));
    const newWorker = (): Worker => new Worker(url, { type: 'module' });
    const error = await failure(newLink('echo', { newWorker, workerUrl: url, startTimeoutMs: 50 }).host());
    assert.strictEqual(error.type, 'REQUEST_TIMED_OUT');
    assert.include(error.message, 'worker-src');
  });

  it('passes on why a host does not start', async () => {
    const error = await failure(newLink('refused').send('Fetch', FETCH));
    assert.strictEqual(error.type, 'KAFKA_STORAGE_ERROR');
    assert.strictEqual(error.message, 'IndexedDB is denied');
  });

  it('ends a worker of another version, which starts no host for it, and says what to do', async () => {
    const { start, ...rest } = options('refused'); // what its host would say
    const version = LINK_VERSION + 1;
    const peer = new WorkerPeer({ ...rest, start: { ...start, version, visible: true } });
    const error = await failure(peer.started);
    assert.include(error, { type: 'UNSUPPORTED_VERSION', retriable: false });
    assert.include(error.message, `has version ${LINK_VERSION}, the page ${version}: reload the page`);
    assert.isTrue(peer.ended.aborted);
  });

  it('ends the worker when the page is left or cached, and has another when it is back', async () => {
    const link = newLink();
    const { lockName } = await link.host();
    const { locks } = browserRuntime();
    const free = locks?.hold(lockName);
    const waiting = failure(link.send('Metadata', metadata('wait')));
    window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }));
    assert.strictEqual((await waiting).type, 'NETWORK_EXCEPTION');
    (await free)?.release();
    assert.strictEqual((await failure(link.send('Fetch', FETCH))).type, 'NETWORK_EXCEPTION');
    assert.lengthOf(workers, 1);
    window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
    await state(link);
    assert.lengthOf(workers, 2);
  });

  it('ends the worker when the page is frozen', async () => {
    const link = newLink();
    await link.host();
    document.dispatchEvent(new Event('freeze'));
    assert.strictEqual((await failure(link.send('Fetch', FETCH))).type, 'NETWORK_EXCEPTION');
    document.dispatchEvent(new Event('resume'));
    await state(link);
    assert.lengthOf(workers, 2);
  });

  it('tells the host whether the page is seen', async () => {
    const link = newLink();
    await link.host();
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    try {
      document.dispatchEvent(new Event('visibilitychange'));
      assert.isFalse((await state(link)).visible);
    } finally {
      Reflect.deleteProperty(document, 'visibilityState');
    }
  });

  it('fails everything once it is closed, and leaves no worker behind', async () => {
    const link = newLink();
    const { lockName } = await link.host();
    const waiting = failure(link.send('Metadata', metadata('wait')));
    await link.close();
    await link.close();
    assert.strictEqual((await waiting).type, 'NETWORK_EXCEPTION');
    assert.strictEqual((await failure(link.send('Fetch', FETCH))).type, 'BROKER_NOT_AVAILABLE');
    (await browserRuntime().locks?.hold(lockName))?.release();
  });

  it('is one for all clients of a cluster in a page, until the last has closed', async () => {
    const [first, second] = await Promise.all([openWorkerLink(options('shared')), openWorkerLink(options('shared'))]);
    links.push(first, second);
    assert.lengthOf(workers, 1);
    await first.close();
    await first.close();
    assert.strictEqual((await failure(first.send('Fetch', FETCH))).type, 'BROKER_NOT_AVAILABLE');
    await state(second);
    const other = options('shared');
    const configured = { ...other, start: { ...other.start, brokerConfig: { 'num.partitions': '3' } } };
    assert.strictEqual((await failure(openWorkerLink(configured))).type, 'INVALID_CONFIG');
    await second.close();
    links.push(await openWorkerLink(configured));
    assert.lengthOf(workers, 2);
  });
});

function produce(...records: Uint8Array[]): ProduceRequest {
  const partitionData = records.map((bytes, index) => ({ index, records: bytes }));
  return { transactionalId: null, acks: -1, timeoutMs: 1000, topicData: [{ name: 'orders', partitionData }] };
}

function metadata(command: string): MetadataRequest {
  return { topics: [{ name: command }], allowAutoTopicCreation: false };
}

async function state(link: RequestChannel): Promise<EchoState> {
  return (await link.send('Metadata', metadata('state'))) as unknown as EchoState;
}

function failure(promise: Promise<unknown>): Promise<KafkaError> {
  return promise.then(
    () => assert.fail('expected a failure'),
    (error: unknown) => error as KafkaError,
  );
}
