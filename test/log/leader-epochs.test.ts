import { expect, test } from 'vitest';
import {
  endOffsetFor,
  epochEntry,
  epochForOffset,
  type LeaderEpochs,
  nextEntry,
  previousEntry,
  truncatedFromEnd,
  truncatedFromStart,
  withEpoch,
} from '../../src/log/leader-epochs.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

// Method: a dumb model that keeps, for each offset, the epoch that wrote it.
test.each(Array.from({ length: 50 }, (_, seed) => seed))(
  'answers as a list of every offset with its epoch does (seed %i)',
  (seed) => {
    const random = seededRandom(seed);
    let epochs: LeaderEpochs = [];
    let written: number[] = [];
    let start = 0;
    let epoch = 0;
    for (let step = 0; step < 60; step++) {
      const action = random.below(10);
      if (action === 0) {
        written = written.slice(0, start + random.below(written.length - start + 1));
        epochs = truncatedFromEnd(epochs, written.length);
      } else if (action === 1 && written.length > start) {
        start += random.below(written.length - start);
        epochs = truncatedFromStart(epochs, start);
      } else {
        if (action < 5) epoch += 1 + random.below(2);
        epochs = withEpoch(epochs, epoch, written.length);
        for (let count = 1 + random.below(3); count > 0; count--) written.push(epoch);
      }
      const known = [...new Set(written.slice(start))];
      expect(epochs.map((entry) => entry.epoch)).toEqual(known);
      for (const known of epochs) expect(known.startOffset).toBe(Math.max(start, written.indexOf(known.epoch)));
      for (let offset = start; offset < written.length; offset++)
        expect(epochForOffset(epochs, offset)).toBe(written[offset]);
      for (let asked = 0; asked <= epoch + 1; asked++) {
        const floor = known.findLast((other) => other <= asked);
        const above = known.find((other) => other > asked);
        const end = above === undefined ? written.length : Math.max(start, written.indexOf(above));
        const expected =
          asked === known.at(-1) || above !== undefined
            ? { epoch: floor ?? asked, endOffset: end }
            : { epoch: -1, endOffset: -1 };
        expect(endOffsetFor(epochs, asked, written.length)).toEqual(expected);
      }
    }
  },
);

test('an entry list is never changed: a new one goes on where it was', () => {
  const epochs = withEpoch(withEpoch([], 1, 0), 4, 10);
  const again = withEpoch(epochs, 5, 20);
  expect(again).toEqual([
    { epoch: 1, startOffset: 0 },
    { epoch: 4, startOffset: 10 },
    { epoch: 5, startOffset: 20 },
  ]);
  expect(epochs.at(-1)).toEqual({ epoch: 4, startOffset: 10 });
  expect([previousEntry(again, 4)?.epoch, nextEntry(again, 4)?.epoch, epochEntry(again, 3)]).toEqual([1, 5, undefined]);
});
