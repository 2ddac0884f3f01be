import { assert } from 'chai';
import type { HeldLock, Runtime } from '../../src/runtime/runtime.js';
import { deferred } from '../../src/util/signal.js';

/** Two runtimes of one origin, which may be one object. */
export interface RuntimePair {
  readonly a: Runtime;
  readonly b: Runtime;
}

export interface RuntimeCase {
  readonly promise: string;
  run(pair: RuntimePair): Promise<void>;
}

/** What every `Runtime` promises; for vitest and for the browsers' test runner alike. */
export const RUNTIME_CASES: readonly RuntimeCase[] = [
  {
    promise: 'sleep takes its time, and the monotonic clock does not go back',
    run: async ({ a: { clock } }) => {
      const begin = clock.monotonicMs();
      await clock.sleep(20);
      assert.isAtLeast(clock.monotonicMs() - begin, 18); // browsers round their clocks
      assert.isAbove(clock.wallMs(), Date.UTC(2020, 0, 1));
    },
  },
  {
    promise: 'sleep rejects with the reason of the signal',
    run: async ({ a: { clock } }) => {
      const controller = new AbortController();
      const reason = new Error('up already');
      const sleeping = rejection(clock.sleep(1e9, controller.signal));
      controller.abort(reason);
      assert.strictEqual(await sleeping, reason);
      assert.strictEqual(await rejection(clock.sleep(1e9, controller.signal)), reason);
    },
  },
  {
    promise: 'a sleep longer than a timer can be, or for ever, does not end at once',
    run: async ({ a: { clock } }) => {
      const controller = new AbortController();
      const sleeps = [2 ** 31, 1e15, Number.POSITIVE_INFINITY].map((ms) => clock.sleep(ms, controller.signal));
      const first = Promise.race([rejection(Promise.race(sleeps)), clock.sleep(20)]);
      assert.isUndefined(await first);
      controller.abort();
      await Promise.allSettled(sleeps);
    },
  },
  {
    promise: 'random numbers are in their range, UUIDs are of version 4 and differ',
    run: async ({ a: { random } }) => {
      const seen = new Set<number>();
      for (let i = 0; i < 1000; i++) {
        const next = random.next();
        assert.isTrue(next >= 0 && next < 1, `${next} in [0, 1)`);
        seen.add(random.below(3));
      }
      assert.sameMembers([...seen], [0, 1, 2]);
      const uuids = Array.from({ length: 100 }, () => random.uuid());
      for (const uuid of uuids) {
        assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      }
      assert.strictEqual(new Set(uuids).size, uuids.length);
    },
  },
  {
    promise: 'a lock has one holder; those who wait get it in their order',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const order: number[] = [];
      let holders = 0;
      const first = await locksOf(a).hold(name);
      const waiting = [a, b, a, b].map(async (runtime, i) => {
        const lock = await locksOf(runtime).hold(name);
        order.push(i);
        assert.strictEqual(++holders, 1);
        await runtime.clock.sleep(1);
        holders--;
        lock.release();
        lock.release();
      });
      await settled(a);
      assert.deepEqual(order, []);
      first.release();
      await Promise.all(waiting);
      assert.deepEqual(order, [0, 1, 2, 3]);
      assert.isFalse(first.lost.aborted);
    },
  },
  {
    promise: 'who gives up waiting for a lock hears the reason, and the next one gets it',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const held = await locksOf(a).hold(name);
      const controller = new AbortController();
      const impatient = rejection(locksOf(b).hold(name, { signal: controller.signal }));
      const patient = locksOf(b).hold(name);
      await settled(a);
      const reason = new Error('enough');
      controller.abort(reason);
      assert.strictEqual(await impatient, reason);
      held.release();
      (await patient).release();
      assert.strictEqual(await rejection(locksOf(a).hold(name, { signal: controller.signal })), reason);
    },
  },
  {
    promise: 'a signal means nothing once the lock is held',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const controller = new AbortController();
      const held = await locksOf(a).hold(name, { signal: controller.signal });
      controller.abort();
      await settled(a);
      assert.isFalse(held.lost.aborted);
      assert.deepEqual(await locksOf(b).held(name), [name]);
      held.release();
    },
  },
  {
    promise: 'a stolen lock is lost to its holder at once; whoever waited waits on',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const robbed = await locksOf(a).hold(name);
      const lost = aborted(robbed.lost);
      let isHeldByWaiting = false;
      const waiting = locksOf(a)
        .hold(name)
        .then((lock) => {
          isHeldByWaiting = true;
          return lock;
        });
      await settled(a);
      const thief = await locksOf(b).hold(name, { steal: true });
      await lost;
      robbed.release();
      await settled(a);
      assert.isFalse(isHeldByWaiting);
      assert.isFalse(thief.lost.aborted);
      thief.release();
      (await waiting).release();
    },
  },
  {
    promise: 'who shares a lock keeps no other waiting who does, and whoever wants it alone waits for all of them',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const first = await locksOf(a).hold(name);
      const sharing = [a, b].map((runtime) => locksOf(runtime).hold(name, { shared: true }));
      await settled(a);
      const alone = locksOf(b).hold(name);
      let isHeldAlone = false;
      alone.then(() => (isHeldAlone = true)).catch(() => {});
      first.release();
      const [one, other] = await Promise.all(sharing);
      one?.release();
      await settled(a);
      assert.isFalse(isHeldAlone);
      other?.release();
      (await alone).release();
    },
  },
  {
    promise: 'the names of held locks are known to all',
    run: async ({ a, b }) => {
      const prefix = a.random.uuid();
      assert.deepEqual(await locksOf(b).held(prefix), []);
      const held: HeldLock[] = [await locksOf(a).hold(`${prefix}-1`), await locksOf(b).hold(`${prefix}-2`)];
      assert.sameMembers([...(await locksOf(b).held(prefix))], [`${prefix}-1`, `${prefix}-2`]);
      for (const lock of held) lock.release();
      const last = await locksOf(a).hold(`${prefix}-2`); // is granted after the release
      last.release();
    },
  },
  {
    promise: 'a message reaches all other channels of the name, in order, and not the sender',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const received: [string, unknown][] = [];
      const done = deferred();
      const isDone = (): boolean => received.length === 9;
      const open = (runtime: Runtime, who: string) =>
        runtime.channels.open(name, (message) => {
          received.push([who, message]);
          if (isDone()) done.resolve();
        });
      const channels = [open(a, 'a'), open(a, 'a2'), open(b, 'b'), open(b, 'b2')];
      const stranger = b.channels.open(`${name}-other`, () => assert.fail('a message of another channel'));
      for (let i = 0; i < 3; i++) channels[0]?.post({ i, bytes: Uint8Array.of(i) });
      await done.promise;
      for (const who of ['a2', 'b', 'b2']) {
        const messages = received.filter(([by]) => by === who).map(([, message]) => message);
        assert.deepEqual(
          messages,
          [0, 1, 2].map((i) => ({ i, bytes: Uint8Array.of(i) })),
        );
      }
      for (const channel of [...channels, stranger]) channel.close();
    },
  },
  {
    promise: 'a message is a copy of what it was when it was posted',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const received = deferred<unknown>();
      const receiver = b.channels.open(name, received.resolve);
      const sender = a.channels.open(name, () => {});
      const message = { list: [1, 2] };
      sender.post(message);
      message.list.push(3);
      assert.deepEqual(await received.promise, { list: [1, 2] });
      assert.throws(() => sender.post(() => {}));
      sender.close();
      receiver.close();
    },
  },
  {
    promise: 'a closed channel neither sends nor receives',
    run: async ({ a, b }) => {
      const name = a.random.uuid();
      const received: unknown[] = [];
      const last = deferred();
      const closed = b.channels.open(name, () => assert.fail('a message to a closed channel'));
      const open = b.channels.open(name, (message) => {
        received.push(message);
        if (message === 'last') last.resolve();
      });
      const sender = a.channels.open(name, () => {});
      const other = a.channels.open(name, () => {});
      closed.close();
      closed.close();
      closed.post('from the closed');
      other.close();
      other.post('from the closed');
      sender.post('last');
      await last.promise;
      assert.deepEqual(received, ['last']);
      sender.close();
      open.close();
    },
  },
];

function locksOf(runtime: Runtime): NonNullable<Runtime['locks']> {
  assert.isDefined(runtime.locks);
  return runtime.locks as NonNullable<Runtime['locks']>;
}

/** Lets everything under way arrive: lock requests are answered in their order, so a round trip is enough. */
async function settled({ locks, random }: Runtime): Promise<void> {
  const lock = await locks?.hold(random.uuid());
  lock?.release();
  await locks?.held('-');
}

function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail('expected a rejection'),
    (reason: unknown) => reason,
  );
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
