import { expect, test } from 'vitest';
import { linearizationProblem, type Operation } from './linearizable.js';

// A register, as the simplest thing that calls read and change.

function write(value: number, startMs: number, endMs: number | undefined): Operation<number> {
  return { text: `write ${value}`, startMs, endMs, apply: () => value };
}

function read(value: number, startMs: number, endMs: number): Operation<number> {
  return { text: `read ${value}`, startMs, endMs, apply: (state) => (state === value ? state : undefined) };
}

test('what is read is what was written last, or is being written', () => {
  expect(linearizationProblem([write(1, 0, 10), read(0, 2, 4), read(1, 5, 6), read(1, 11, 12)], 0)).toBeUndefined();
  expect(linearizationProblem([write(1, 0, 10), read(0, 11, 12)], 0)).toBe('read 0: impossible after 1');
});

test('once it has been read, it is there', () => {
  expect(linearizationProblem([write(1, 0, 10), read(1, 2, 4), read(0, 5, 6)], 0)).toBe('read 0: impossible after 1');
});

test('what nobody knows the outcome of takes effect at any time, once, or never', () => {
  const doubtful = write(1, 0, undefined);
  expect(linearizationProblem([doubtful, read(0, 5, 6), read(1, 50, 51)], 0)).toBeUndefined();
  expect(linearizationProblem([doubtful, read(0, 5, 6)], 0)).toBeUndefined();
  const twice = [doubtful, read(1, 5, 6), write(2, 7, 8), read(1, 9, 10)];
  expect(linearizationProblem(twice, 0)).toBe('read 1: impossible after 2');
});

test('what sets and is not asked for by others comes to bear where something cannot be explained without', () => {
  const plain = (value: number): Operation<number> => ({ ...write(value, 0, undefined), isPlain: true });
  const many = Array.from({ length: 8 }, (_, i) => plain(i + 1));
  const reads = [read(0, 1, 2), read(3, 3, 4), read(7, 5, 6), write(0, 7, 8), read(0, 9, 10)];
  expect(linearizationProblem([...many, ...reads], 0)).toBeUndefined();
  expect(linearizationProblem([...many, ...reads, read(9, 11, 12)], 0)).toBe('read 9: impossible after 0');
});
