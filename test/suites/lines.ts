import { assert } from 'chai';
import type { Lines, LinesEnd } from '../../src/runtime/runtime.js';

/** The lines of two tabs of one origin, and a way to let time pass: a few milliseconds. */
export interface LinesPair {
  readonly a: Lines;
  readonly b: Lines;
  readonly wait: () => Promise<void>;
}

export interface LinesCase {
  readonly promise: string;
  run(pair: LinesPair): Promise<void>;
}

/** What all `Lines` promise; for vitest and for the browsers' test runner alike. */
export const LINES_CASES: readonly LinesCase[] = [
  {
    promise: 'a line is made when it is first wanted, and then carries messages in their order, and answers',
    run: async (pair) => {
      const answers: unknown[] = [];
      const heard: unknown[] = [];
      const a = pair.a.open('a', (message) => answers.push(message));
      const b = pair.b.open('b', (message, reply) => {
        heard.push(message);
        reply({ answer: message });
      });
      b.join();
      assert.isFalse(a.post('b', 'lost'), 'before there is a line');
      await posted(pair, a, 'b', 'first');
      assert.isTrue(a.post('b', { bytes: Uint8Array.of(1, 2) }));
      await until(pair, () => answers.length === 2);
      assert.deepEqual(heard, ['first', { bytes: Uint8Array.of(1, 2) }]);
      assert.deepEqual(
        answers,
        heard.map((message) => ({ answer: message })),
      );
      a.close();
      b.close();
    },
  },
  {
    promise: 'both may dial each other',
    run: async (pair) => {
      const heard: unknown[] = [];
      const a = pair.a.open('a', (message) => heard.push(message));
      const b = pair.b.open('b', (message) => heard.push(message));
      await Promise.all([posted(pair, a, 'b', 'to b'), posted(pair, b, 'a', 'to a')]);
      await until(pair, () => heard.length === 2);
      assert.sameMembers(heard, ['to a', 'to b']);
      a.close();
      b.close();
    },
  },
  {
    promise: 'nobody else hears, and there is no line to one who is not there or has gone',
    run: async (pair) => {
      const a = pair.a.open('a', () => {});
      const other = pair.b.open('other', () => assert.fail('it was not meant for this one'));
      other.join();
      for (let i = 0; i < 5; i++) {
        assert.isFalse(a.post('nobody', 'x'));
        await pair.wait();
      }
      other.close();
      await pair.wait();
      for (let i = 0; i < 5; i++) {
        assert.isFalse(a.post('other', 'x'));
        await pair.wait();
      }
      a.close();
    },
  },
  {
    promise: 'one who was dropped gets through again by a new line',
    run: async (pair) => {
      const { a, b, heard } = await dropped(pair);
      assert.isFalse(a.post('b', 'lost'));
      b.join(); // as one does who is spoken to over another way
      // The old line may take it while the new one is being laid, and nobody hears of that: lines promise nothing else.
      await getsThrough(pair, { a, b, heard });
    },
  },
  {
    promise: 'one who was dropped although it is there gets through again, with nobody telling it',
    run: async (pair) => {
      await getsThrough(pair, await dropped(pair));
    },
  },
  {
    promise: 'a closed end hears nothing, and what is posted to it is lost without a sign',
    run: async (pair) => {
      let heard = 0;
      const a = pair.a.open('a', () => {});
      const b = pair.b.open('b', () => heard++);
      b.join();
      await posted(pair, a, 'b', 'x');
      await until(pair, () => heard === 1);
      b.close();
      a.post('b', 'y');
      await pair.wait();
      assert.strictEqual(heard, 1);
      a.close();
    },
  },
];

/** One end that has dropped another which had heard from it. */
interface Dropped {
  readonly a: LinesEnd;
  readonly b: LinesEnd;
  readonly heard: readonly unknown[];
}

async function dropped(pair: LinesPair): Promise<Dropped> {
  const heard: unknown[] = [];
  const a = pair.a.open('a', () => {});
  const b = pair.b.open('b', (message) => heard.push(message));
  b.join();
  await posted(pair, a, 'b', 1);
  await until(pair, () => heard.length === 1);
  a.drop('b');
  return { a, b, heard };
}

async function getsThrough(pair: LinesPair, { a, b, heard }: Dropped): Promise<void> {
  await until(pair, () => {
    a.post('b', 2);
    return heard.length > 1;
  });
  assert.deepEqual(heard.slice(0, 2), [1, 2]);
  a.close();
  b.close();
}

/** Posts as soon as there is a line. */
async function posted(pair: LinesPair, from: LinesEnd, to: string, message: unknown): Promise<void> {
  await until(pair, () => from.post(to, message));
}

/** Of real browsers: 15 s and more. A SharedWorker on a busy machine takes seconds to begin. */
const MAX_WAITS = 3_000;

async function until(pair: LinesPair, holds: () => boolean): Promise<void> {
  for (let i = 0; i < MAX_WAITS; i++) {
    if (holds()) return;
    await pair.wait();
  }
  assert.fail('it did not come about');
}
