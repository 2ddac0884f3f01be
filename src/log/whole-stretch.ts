import { KafkaError } from '../protocol/errors.js';
import { lastOffsetOf } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import type { LogId, SealedSegment } from '../storage/log-store.js';
import { crc32c } from '../util/crc32c.js';

export interface StretchToRead {
  readonly log: LogId;
  /** Where the reading begins. */
  readonly fromOffset: number;
  /** Of rows, what lies below it is gone. */
  readonly logStartOffset: number;
  /** Where the segment begins that it lies in. */
  readonly segmentOffset: number;
  /** All of the log. */
  readonly sealed: readonly SealedSegment[];
}

/**
 * Whether what is read of a log, one batch behind the other, is all that is stored there: of sealed segments their
 * checksums tell, of rows their offsets, since rows leave out none. Asked by whoever puts something else in the place of
 * it: what damage hides would be gone then, and nobody could tell it from what compaction took out.
 */
export class WholeStretch {
  readonly #log: LogId;
  readonly #logStartOffset: number;
  readonly #sealedEndOffset: number;
  /** Those that are read from their beginning on, and not to their end yet. */
  #sealed: readonly SealedSegment[];
  /** Of the first of them, as far as it is read. */
  #crc32c = 0;
  #byteCount = 0;
  #nextOffset: number;
  /** No batch begins before. */
  #leastOffset: number;

  constructor({ log, fromOffset, logStartOffset, segmentOffset, sealed }: StretchToRead) {
    this.#log = log;
    this.#logStartOffset = logStartOffset;
    this.#nextOffset = Math.max(fromOffset, logStartOffset);
    this.#leastOffset = segmentOffset;
    this.#sealed = sealed.filter(({ baseOffset }) => baseOffset >= fromOffset);
    this.#sealedEndOffset = sealed.at(-1)?.nextOffset ?? 0;
  }

  /**
   * The next batch, which begins at `at` of `bytes`; false where it is none: a row that goes on behind what is sealed may
   * begin before, with what the sealed segment has taken over, or left out.
   * @throws KafkaError CORRUPT_MESSAGE: something before it is missing, or it begins too early.
   */
  take(header: BatchHeader, bytes: Uint8Array, at: number): boolean {
    const { baseOffset, sizeInBytes } = header;
    this.#pass(baseOffset);
    const [segment] = this.#sealed;
    const isSealed = segment !== undefined && segment.baseOffset <= baseOffset;
    if (isSealed && this.#byteCount === segment.byteCount) return false;
    if (baseOffset < this.#leastOffset) throw this.#missing(this.#leastOffset, baseOffset);
    if (isSealed) {
      this.#crc32c = crc32c(bytes, at, at + sizeInBytes, this.#crc32c);
      this.#byteCount += sizeInBytes;
    } else if (baseOffset >= this.#sealedEndOffset) {
      const expected = Math.max(this.#nextOffset, this.#sealedEndOffset);
      if (baseOffset > expected) throw this.#missing(expected, baseOffset);
    }
    this.#nextOffset = this.#leastOffset = lastOffsetOf(header) + 1;
    return true;
  }

  /**
   * All up to `endOffset` (exclusive), where a segment ends, was taken.
   * @throws KafkaError CORRUPT_MESSAGE
   */
  end(endOffset: number): void {
    this.#pass(endOffset);
    const mayLack = endOffset <= Math.max(this.#sealedEndOffset, this.#logStartOffset);
    const isWhole = mayLack || this.#nextOffset === endOffset;
    if (!isWhole) throw this.#missing(this.#nextOffset, endOffset);
  }

  #pass(offset: number): void {
    for (
      let [segment] = this.#sealed;
      segment !== undefined && segment.nextOffset <= offset;
      [segment] = this.#sealed
    ) {
      if (this.#byteCount !== segment.byteCount || this.#crc32c !== segment.crc32c) {
        const text = `log ${this.#log}: expected ${segment.byteCount} bytes with checksum ${segment.crc32c} from offset ${segment.baseOffset} on`;
        throw new KafkaError('CORRUPT_MESSAGE', `${text}, found ${this.#byteCount} with ${this.#crc32c}`);
      }
      this.#sealed = this.#sealed.slice(1);
      this.#crc32c = this.#byteCount = 0;
    }
  }

  #missing(offset: number, found: number): KafkaError {
    const text = `log ${this.#log}: expected a batch at offset ${offset}, found one at ${found}`;
    return new KafkaError('CORRUPT_MESSAGE', text);
  }
}
