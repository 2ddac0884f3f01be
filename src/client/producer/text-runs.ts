import type { RecordInput } from '../api/producer.js';

/** Below this many messages one call of the encoder for all saves nothing. */
const MIN_TEXTS = 8;
const RUN_TEXTS = 64;
/** Larger texts are worth a call of their own. */
const RUN_CHARS = 32 * 1024;

const ENCODER = new TextEncoder();
const scratch = new Uint8Array(RUN_CHARS);

/**
 * The values of a send, to be asked for in order, one after the other. Where texts are short, a call of the encoder for
 * each costs more than the encoding: runs of them are encoded together, and what is not ASCII, whose parts could not be
 * told apart, stays text. Bytes that come from here are good until the next value is asked for.
 */
export function textRuns(
  count: number,
  valueAt: (index: number) => RecordInput | null,
): (index: number) => RecordInput | null {
  if (count < MIN_TEXTS) return valueAt;
  let run: string[] = [];
  let next = 0;
  let position = 0;
  let isAscii = false;
  return (index) => {
    if (next === run.length) {
      const value = valueAt(index);
      if (typeof value !== 'string') return value;
      run = textsFrom(index, count, valueAt);
      next = position = 0;
      isAscii = encodeAscii(run);
    }
    const text = run[next++]!;
    if (!isAscii) return text;
    const start = position;
    position += text.length;
    return scratch.subarray(start, position);
  };
}

function textsFrom(index: number, count: number, valueAt: (index: number) => RecordInput | null): string[] {
  const texts: string[] = [];
  let chars = 0;
  for (let i = index; i < count && texts.length < RUN_TEXTS; i++) {
    const value = valueAt(i);
    if (typeof value !== 'string') break;
    chars += value.length;
    if (chars > RUN_CHARS && texts.length > 0) break;
    texts.push(value);
  }
  return texts;
}

/** Writes all texts into the scratch buffer; false where they are not ASCII, or more than it holds. */
function encodeAscii(texts: readonly string[]): boolean {
  let all = '';
  for (const text of texts) all += text;
  const { read, written } = ENCODER.encodeInto(all, scratch);
  return read === all.length && written === read;
}
