import { isAscii } from '../util/bytes.js';
import type { BatchHeader } from './record.js';
import { NULL_START, RecordCursor } from './record-cursor.js';

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** For records that are longer on average, calls of the decoder are few enough. */
const JOINED_UP_TO = 400;

/** The same for batches of few records. */
const JOINED_FROM = 4;

/** A batch in which everything but the values is blanked, as bytes and as text: places are the same in both. */
interface Joined {
  readonly text: string;
  readonly original: DataView;
  /** The batch itself: what its readers write to it is seen here. */
  readonly live: DataView;
}

/**
 * The texts of the values of one uncompressed batch, decoded together when the first is asked for: a decoder's call
 * costs more than the decoding of a short text. All of them must be ASCII; the texts are then parts of one string
 * (and keep it alive).
 */
export class ValueTexts {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #header: BatchHeader;
  /** null: these texts cannot be had together. */
  #joined: Joined | null | undefined;

  /** Of the batch at `at`, which is known to be sound. */
  constructor(bytes: Uint8Array, at: number, header: BatchHeader) {
    this.#bytes = bytes;
    this.#at = at;
    this.#header = header;
  }

  /** The text of a view of this batch; undefined where it must be decoded by itself, as after a change of the bytes. */
  textOf({ byteOffset, length }: Uint8Array): string | undefined {
    this.#joined ??= join(this.#bytes, this.#at, this.#header);
    const start = byteOffset - this.#bytes.byteOffset - this.#at;
    if (this.#joined === null || !isUnchanged(this.#joined, start, start + length)) return undefined;
    return this.#joined.text.substring(start, start + length);
  }
}

function join(bytes: Uint8Array, at: number, header: BatchHeader): Joined | null {
  const { sizeInBytes, recordCount } = header;
  if (recordCount < JOINED_FROM || sizeInBytes > recordCount * JOINED_UP_TO) return null;
  const blanked = bytes.slice(at, at + sizeInBytes);
  const cursor = new RecordCursor(bytes, at, header);
  let end = 0;
  while (cursor.next()) {
    if (cursor.valueStart === NULL_START) continue;
    blank(blanked, end, cursor.valueStart - at);
    end = cursor.valueEnd - at;
  }
  blank(blanked, end, sizeInBytes);
  if (!isAscii(blanked)) return null;
  return {
    text: UTF8.decode(blanked),
    original: new DataView(blanked.buffer),
    live: new DataView(bytes.buffer, bytes.byteOffset + at, sizeInBytes),
  };
}

/** The gaps are short: a call of `fill` would cost more. */
function blank(bytes: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) bytes[i] = 0;
}

function isUnchanged({ original, live }: Joined, start: number, end: number): boolean {
  if (start < 0 || end > original.byteLength || live.buffer.byteLength === 0) return false;
  let i = start;
  for (; i + 4 <= end; i += 4) if (live.getUint32(i) !== original.getUint32(i)) return false;
  for (; i < end; i++) if (live.getUint8(i) !== original.getUint8(i)) return false;
  return true;
}
