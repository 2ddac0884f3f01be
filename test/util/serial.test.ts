import { expect, test } from 'vitest';
import { Serial } from '../../src/util/serial.js';
import { deferred } from '../../src/util/signal.js';

test('jobs run one at a time, in the order they were given', async () => {
  const serial = new Serial();
  const trace: string[] = [];
  const gates = [deferred(), deferred(), deferred()];
  const done = gates.map((gate, i) =>
    serial.run(async () => {
      trace.push(`begin ${i}`);
      await gate.promise;
      trace.push(`end ${i}`);
      return i;
    }),
  );
  gates[2]?.resolve();
  gates[1]?.resolve();
  gates[0]?.resolve();
  expect(await Promise.all(done)).toEqual([0, 1, 2]);
  expect(trace).toEqual(['begin 0', 'end 0', 'begin 1', 'end 1', 'begin 2', 'end 2']);
});

test('a job that fails fails for its caller alone', async () => {
  const serial = new Serial();
  const failed = serial.run(() => Promise.reject(new Error('no')));
  const thrown = serial.run(() => {
    throw new Error('not even a promise');
  });
  const next = serial.run(async () => 'next');
  await expect(failed).rejects.toThrow('no');
  await expect(thrown).rejects.toThrow('not even a promise');
  expect(await next).toBe('next');
});

test('idle waits for all jobs given so far and does not hear of their failures', async () => {
  const serial = new Serial();
  let done = 0;
  void serial.run(async () => void done++);
  const failing = serial.run(() => Promise.reject(new Error('no')));
  failing.catch(() => {});
  void serial.run(async () => void done++);
  await serial.idle();
  expect(done).toBe(2);
});
