import { expect, test } from 'vitest';
import { LeaderEpochs } from '../../src/log/leader-epochs.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';

// Method: a dumb model that keeps, for each offset, the epoch that wrote it.
test.each(Array.from({ length: 50 }, (_, seed) => seed))(
  'answers as a list of every offset with its epoch does (seed %i)',
  (seed) => {
    const random = seededRandom(seed);
    const epochs = new LeaderEpochs();
    let written: number[] = [];
    let start = 0;
    let epoch = 0;
    for (let step = 0; step < 60; step++) {
      const action = random.below(10);
      if (action === 0) {
        written = written.slice(0, start + random.below(written.length - start + 1));
        epochs.truncateFromEnd(written.length);
      } else if (action === 1 && written.length > start) {
        start += random.below(written.length - start);
        epochs.truncateFromStart(start);
      } else {
        if (action < 5) epoch += 1 + random.below(2);
        epochs.assign(epoch, written.length);
        for (let count = 1 + random.below(3); count > 0; count--) written.push(epoch);
      }
      const known = [...new Set(written.slice(start))];
      expect(epochs.entries().map((entry) => entry.epoch)).toEqual(known);
      for (const known of epochs.entries())
        expect(known.startOffset).toBe(Math.max(start, written.indexOf(known.epoch)));
      for (let offset = start; offset < written.length; offset++)
        expect(epochs.epochForOffset(offset)).toBe(written[offset]);
      for (let asked = 0; asked <= epoch + 1; asked++) {
        const floor = known.findLast((other) => other <= asked);
        const above = known.find((other) => other > asked);
        const end = above === undefined ? written.length : Math.max(start, written.indexOf(above));
        const expected =
          asked === known.at(-1) || above !== undefined
            ? { epoch: floor ?? asked, endOffset: end }
            : { epoch: -1, endOffset: -1 };
        expect(epochs.endOffsetFor(asked, written.length)).toEqual(expected);
      }
    }
  },
);

test('an entry list made of entries goes on where the other was', () => {
  const epochs = new LeaderEpochs();
  epochs.assign(1, 0);
  epochs.assign(4, 10);
  const again = new LeaderEpochs(epochs.entries());
  again.assign(5, 20);
  expect(again.entries()).toEqual([
    { epoch: 1, startOffset: 0 },
    { epoch: 4, startOffset: 10 },
    { epoch: 5, startOffset: 20 },
  ]);
  expect(epochs.latestEpoch()).toBe(4);
  expect([again.previous(4)?.epoch, again.next(4)?.epoch, again.entry(3)]).toEqual([1, 5, undefined]);
});
