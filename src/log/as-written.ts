import { batchSpanAt, soundSizeAt } from '../record/batch-header.js';
import { BASE_OFFSET_AT, LEADER_EPOCH_AT } from '../record/batch-layout.js';
import type { SealedSegment } from '../storage/log-store.js';
import { int32At } from '../util/bytes.js';
import { crc32c } from '../util/crc32c.js';

const WORD_BYTES = 4;
/** The words of a batch that its own checksum does not cover, from the last on; its length is proved by the checksum. */
const WORDS_AT = [LEADER_EPOCH_AT, BASE_OFFSET_AT + WORD_BYTES, BASE_OFFSET_AT];

/**
 * The bytes of a sealed segment as they were written, where its checksum tells: the batches' own leave out base offsets and
 * leader epochs. If these are all that can be wrong, and a single word of them, changed, makes the checksum right and lets its
 * batch fit between its neighbours, then that was damaged. undefined where it is not so. `bytes` stay as they are.
 */
export function asWritten(bytes: Uint8Array, segment: SealedSegment): Uint8Array | undefined {
  if (bytes.byteLength !== segment.byteCount) return undefined;
  let register = crc32c(bytes) ^ segment.crc32c;
  if (register === 0) return bytes;
  const batches: number[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const size = soundSizeAt(bytes, at);
    if (size === undefined) return undefined;
    batches.push(at);
    at += size;
  }
  // The difference of two registers, taken back over bytes that both have seen. Taken back over a word in which they differ
  // it is the difference of that word: there is one change of each that makes the checksum right.
  const table = Array.from({ length: 256 }, (_, byte) => ~crc32c(Uint8Array.of(byte), 0, 1, -1));
  const byTop = new Map(table.map((value, byte) => [value >>> 24, { value, byte }]));
  const steps = Array.from({ length: 256 }, (_, top) => byTop.get(top)!);
  const written = new Uint8Array(bytes);
  const change = (at: number, difference: number): void => {
    for (let i = 0; i < WORD_BYTES; i++) written[at + i]! ^= difference >>> (8 * i);
  };
  let found: (() => void) | undefined;
  let position = bytes.byteLength;
  for (const [index, at] of [...batches.entries()].reverse()) {
    for (const wordAt of WORDS_AT) {
      for (; position > at + wordAt; position--) {
        const { value, byte } = steps[register >>> 24]!;
        register = ((register ^ value) << 8) | byte;
      }
      const changed = [position, register] as const;
      change(...changed);
      const hasPlace = fits(written, { before: batches[index - 1], at, behind: batches[index + 1] }, wordAt, segment);
      change(...changed);
      if (!hasPlace) continue;
      if (found !== undefined) return undefined;
      found = () => change(...changed);
    }
  }
  found?.();
  return found && written;
}

/** Whether the batch at `at`, a word of which was changed, has its place between the ones before and behind it. */
function fits(
  bytes: Uint8Array,
  {
    before,
    at,
    behind,
  }: { readonly before: number | undefined; readonly at: number; readonly behind: number | undefined },
  wordAt: number,
  segment: SealedSegment,
): boolean {
  if (wordAt === LEADER_EPOCH_AT) {
    const epochAt = (of: number | undefined): number => int32At(bytes, (of ?? at) + LEADER_EPOCH_AT);
    const isAlone = before === behind; // both are not there
    const epoch = epochAt(at);
    return !isAlone && epoch >= epochAt(before ?? behind) && epoch <= epochAt(behind ?? before);
  }
  const { baseOffset, lastOffset } = batchSpanAt(bytes, at);
  const leastOffset = before === undefined ? segment.baseOffset : batchSpanAt(bytes, before).lastOffset + 1;
  const endOffset = behind === undefined ? segment.nextOffset : batchSpanAt(bytes, behind).baseOffset;
  return baseOffset >= leastOffset && lastOffset < endOffset;
}
