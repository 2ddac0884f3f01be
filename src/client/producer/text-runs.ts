import type { RecordInput } from '../api/producer.js';

/** With fewer messages one call of the encoder for all saves nothing. */
const MIN_TEXTS = 8;
const RUN_TEXTS = 64;

const ENCODER = new TextEncoder();
/** Texts that are larger than a run are worth a call of their own. */
const scratch = new Uint8Array(32 * 1024);

type ValueAt = (index: number) => RecordInput | null;

/**
 * The values of a send, to be asked for in order, each once. Where texts are short, a call of the encoder for each costs
 * more than the encoding: runs of them are encoded together. A run that is not ASCII, so that its parts could not be told
 * apart, stays text. Bytes that come from here are good until the next value is asked for.
 */
export function textRuns(count: number, valueAt: ValueAt): ValueAt {
  if (count < MIN_TEXTS) return valueAt;
  let run: string[] = [];
  let next = 0;
  let position = 0;
  let isAscii = false;
  const encodeFrom = (index: number): void => {
    let all = '';
    run = [];
    next = position = 0;
    for (let i = index; i < count && run.length < RUN_TEXTS; i++) {
      const value = valueAt(i);
      if (typeof value !== 'string' || all.length + value.length > scratch.length) break;
      all += value;
      run.push(value);
    }
    const { read, written } = ENCODER.encodeInto(all, scratch);
    isAscii = read === all.length && written === read;
  };
  return (index) => {
    if (next === run.length) {
      const value = valueAt(index);
      if (typeof value !== 'string') return value;
      encodeFrom(index);
      if (run.length === 0) return value; // longer than a run
    }
    const text = run[next++]!;
    const start = position;
    position += text.length;
    return isAscii ? scratch.subarray(start, position) : text;
  };
}
