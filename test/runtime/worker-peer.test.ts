import { expose } from 'comlink';
import { afterEach, expect, test } from 'vitest';
import { KafkaError } from '../../src/protocol/errors.js';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { type HostApi, type HostStarted, LINK_VERSION } from '../../src/runtime/host-api.js';
import type { Clock } from '../../src/runtime/runtime.js';
import { WorkerPeer } from '../../src/runtime/worker-peer.js';
import { deferred, onAbort } from '../../src/util/signal.js';

const TIMEOUT_MS = 20_000;

let ports: MessagePort[] = [];

afterEach(() => {
  for (const port of ports) port.close();
  ports = [];
});

/** What a test decides about: when the worker answers its start, and with what. */
interface Fixture {
  readonly peer: WorkerPeer;
  answer(started?: Partial<HostStarted>): Promise<void>;
  /** Ends the nearest sleep of the page, however long it was to be; false: nobody sleeps. */
  tick(): Promise<boolean>;
  /** How often the worker was terminated. */
  terminated(): number;
  /** Whether the peer had ended for its page when that was. */
  hadEnded(): boolean | undefined;
}

function start(version = LINK_VERSION): Fixture {
  const { port1: worker, port2 } = new MessageChannel();
  ports.push(worker, port2);
  const answered = deferred<Awaited<ReturnType<HostApi['start']>>>();
  expose({ start: () => answered.promise }, port2);
  let terminated = 0;
  const lockName = `worker-peer/${crypto.randomUUID()}`;
  const life = browserRuntime().locks?.hold(lockName);
  let hadEnded: boolean | undefined;
  const terminate = (): void => {
    terminated++;
    hadEnded = peer.ended.aborted;
  };
  const newWorker = (): Worker => Object.assign(worker, { terminate }) as unknown as Worker;

  const sleeping = new Set<() => void>();
  const sleep: Clock['sleep'] = (_ms, signal) =>
    new Promise((resolve, reject) => {
      sleeping.add(resolve);
      onAbort(signal, () => {
        sleeping.delete(resolve);
        reject(signal?.reason);
      });
    });
  const clock: Clock = { wallMs: () => 0, monotonicMs: () => 0, sleep };
  const peer = new WorkerPeer({
    runtime: { clock },
    newWorker,
    startTimeoutMs: TIMEOUT_MS,
    start: { version, clusterName: 'c', brokerConfig: {}, label: 'test', visible: true },
  });
  return {
    peer,
    async answer(started) {
      await life;
      answered.resolve({ ok: { version: LINK_VERSION, hostId: 'h', lockName, ...started } });
    },
    async tick() {
      const [wake] = sleeping;
      if (wake === undefined) return false;
      sleeping.delete(wake);
      wake();
      await new Promise(setImmediate);
      return true;
    },
    terminated: () => terminated,
    hadEnded: () => hadEnded,
  };
}

// Goal: a laptop that wakes, or a page that was busy, finds its deadline over before its worker had a turn: it is waited for.
test('a worker is not given up because the page, and it, slept beyond the deadline', async () => {
  const { peer, tick, answer, terminated } = start();
  await tick(); // much later than it was to be
  await answer();
  expect(await peer.started).toMatchObject({ hostId: 'h' });
  expect(await tick()).toBe(false);
  expect(terminated()).toBe(0);
});

// Goal: who deploys while a page is open hears what is wrong, rather than of requests that the other side takes for damage.
test.each([
  [
    'an older worker, which tells no version',
    { version: undefined as unknown as number },
    'has version 0, the page 1: reload',
  ],
  [
    'a newer worker',
    { version: LINK_VERSION + 1 },
    `has version ${LINK_VERSION + 1}, the page ${LINK_VERSION}: reload`,
  ],
])('a page refuses %s, and ends it', async (_, started, text) => {
  const { peer, answer, terminated } = start();
  await answer(started);
  const error = await peer.started.catch((caught: unknown) => caught);
  expect(error).toMatchObject({ type: 'UNSUPPORTED_VERSION', retriable: false });
  expect((error as Error).message).toContain(text);
  expect(terminated()).toBe(1);
});

test('a worker that never answers is given up once, and terminated', async () => {
  const { peer, tick, terminated } = start();
  const failure = peer.started.catch((error: unknown) => error);
  let turns = 0;
  while (await tick()) turns++;
  expect(turns).toBeGreaterThan(1);
  expect(await failure).toMatchObject({ type: 'REQUEST_TIMED_OUT' });
  expect(terminated()).toBe(1);
  expect(peer.ended.aborted).toBe(true);
});

// Goal: a page that is being frozen is not given the lock of the worker that it ends, which it would hold until it wakes.
test('a page waits for the lock of its worker no more when it ends that', async () => {
  const { peer, answer, hadEnded } = start();
  await answer();
  await peer.started;
  peer.end(new KafkaError('NETWORK_EXCEPTION', 'frozen'));
  expect(hadEnded()).toBe(true);
});
