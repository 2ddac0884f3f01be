import type { BatchHeader } from './record.js';
import { NULL_START, type RecordCursor } from './record-cursor.js';

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** For records that are longer on average, calls of the decoder are few enough. */
const JOINED_UP_TO = 400;

/** The same for batches of few records. */
const JOINED_FROM = 4;

/** So many batches have their texts together at a time: one for each partition that is being handled, as a rule. */
const MAX_COPIES = 8;
/** Of a longer batch, as decompression makes them, the copy is its own. */
const COPY_BYTES = 64 * 1024;

/** Memory for copies, used again and again: fresh memory took longer than all else (measured in Chromium). */
const copies: DataView[] = [];
/** So many batches were copied: the texts of all but the last MAX_COPIES are decoded one by one. */
let copied = 0;

/**
 * Where in its batch each record has its key and its value, as `RecordCursor` has them: four numbers a record, in the order
 * keyStart, keyEnd, valueStart, valueEnd; of what is null, NULL_START twice.
 */
export type RecordPlaces = Int32Array;
export const PLACES = 4;

/** Notes the places of the record that the cursor has come to, the one at `index` of its batch. */
export function notePlaces(places: RecordPlaces, index: number, cursor: RecordCursor): void {
  const { keyStart, keyEnd, valueStart, valueEnd } = cursor;
  let at = PLACES * index;
  places[at++] = keyStart;
  places[at++] = keyStart === NULL_START ? NULL_START : keyEnd;
  places[at++] = valueStart;
  places[at] = valueStart === NULL_START ? NULL_START : valueEnd;
}

/** A batch in which everything but the values is blanked, as bytes and as text: places are the same in both. */
interface Joined {
  readonly text: string;
  readonly original: DataView;
  /** What `copied` was. */
  readonly serial: number;
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
  readonly #places: RecordPlaces;
  /** null: these texts cannot be had together. */
  #joined: Joined | null | undefined;

  /** Of the batch at `at`, which is known to be sound; its `places` are to be noted before a text is asked for. */
  constructor(bytes: Uint8Array, at: number, header: BatchHeader, places: RecordPlaces) {
    this.#bytes = bytes;
    this.#at = at;
    this.#header = header;
    this.#places = places;
  }

  /** The text of a view of this batch; undefined where it must be decoded by itself, as after a change of the bytes. */
  textOf({ byteOffset, length }: Uint8Array): string | undefined {
    if (this.#joined === undefined) this.#joined = this.#join();
    const joined = this.#joined;
    if (joined === null || copied - joined.serial > MAX_COPIES) return undefined;
    const start = byteOffset - this.#bytes.byteOffset - this.#at;
    const end = start + length;
    if (start < 0 || end > this.#header.sizeInBytes || !isUnchanged(joined, start, end)) return undefined;
    return joined.text.substring(start, end);
  }

  #join(): Joined | null {
    const bytes = this.#bytes;
    const at = this.#at;
    const places = this.#places;
    const { sizeInBytes: size, recordCount } = this.#header;
    if (recordCount < JOINED_FROM || size > recordCount * JOINED_UP_TO) return null;
    const serial = copied++;
    const original = size > COPY_BYTES ? memory(size) : (copies[serial % MAX_COPIES] ??= memory(COPY_BYTES));
    const blanked = new Uint8Array(original.buffer, 0, size);
    blanked.set(bytes.subarray(at, at + size));
    let end = 0;
    for (let i = 2; i < places.length; i += PLACES) {
      if (places[i] === NULL_START) continue;
      blank(blanked, end, places[i]! - at);
      end = places[i + 1]! - at;
    }
    blank(blanked, end, size);
    const text = UTF8.decode(blanked);
    // A unit for every byte: then none was part of a longer sequence, and each value reads as it would by itself.
    if (text.length !== size) return null;
    return { text, original, serial, live: new DataView(bytes.buffer, bytes.byteOffset + at, size) };
  }
}

function memory(size: number): DataView {
  return new DataView(new ArrayBuffer(size));
}

/** The gaps are short: a call of `fill` would cost more. */
function blank(bytes: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) bytes[i] = 0;
}

function isUnchanged({ original, live }: Joined, start: number, end: number): boolean {
  if (live.buffer.byteLength === 0) return false;
  let i = start;
  for (; i + 4 <= end; i += 4) if (live.getInt32(i, true) !== original.getInt32(i, true)) return false;
  for (; i < end; i++) if (live.getUint8(i) !== original.getUint8(i)) return false;
  return true;
}
