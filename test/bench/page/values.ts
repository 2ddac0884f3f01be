/** Text of exactly `size` ASCII characters: the record's number, then words like those of real events. */
export function makeValues(count: number, size: number): string[] {
  const tails = Array.from({ length: 64 }, (_, seed) => words(size - 9, seed + 1));
  return Array.from({ length: count }, (_, i) => `${String(i).padStart(8, '0')}:${tails[i & 63]}`);
}

export function numberOf(value: string): number {
  return Number(value.slice(0, 8));
}

const WORDS = 'order user click view cart page item price total event login stream topic offset broker value'.split(
  ' ',
);

function words(size: number, seed: number): string {
  let state = seed * 7919;
  let text = '';
  while (text.length < size) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    text += `${WORDS[state % WORDS.length]}${(state % 997).toString(36)}-`;
  }
  return text.slice(0, size);
}

export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? Number.NaN;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
}

export function latency(samples: readonly number[]): Latency {
  return { p50: percentile(samples, 0.5), p99: percentile(samples, 0.99) };
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
