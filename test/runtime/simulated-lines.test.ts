import { describe, expect, test } from 'vitest';
import { Simulation } from '../../src/runtime/simulation.js';
import { LINES_CASES } from '../suites/lines.js';

describe('the lines of a simulation', () => {
  test.each(LINES_CASES)('$promise', async ({ run }) => {
    const simulation = new Simulation({ seed: 1 });
    const [a, b] = [simulation.tab('a'), simulation.tab('b')];
    const harness = simulation.tab('harness');
    const wait = (): Promise<void> => harness.runtime.clock.sleep(2);
    await simulation.drive(run({ a: a.runtime.lines!, b: b.runtime.lines!, wait }));
    expect([a.openChannels, b.openChannels]).toEqual([0, 0]);
  });

  test('die with their tab', async () => {
    const simulation = new Simulation({ seed: 2 });
    const [a, b] = [simulation.tab('a'), simulation.tab('b')];
    const heard: unknown[] = [];
    const from = a.runtime.lines!.open('a', () => {});
    b.runtime.lines!.open('b', (message) => heard.push(message)).join();
    from.post('b', 'lost');
    await simulation.run({ maxMs: 20 });
    expect(from.post('b', 'x')).toBe(true);
    await simulation.run({ maxMs: 20 });
    b.kill();
    expect(from.post('b', 'y')).toBe(true);
    await simulation.run({ maxMs: 20 });
    expect(heard).toEqual(['x']);
    expect(b.openChannels).toBe(0);
  });
});
