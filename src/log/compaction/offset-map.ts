import { assert } from '../../util/assert.js';
import { DIGEST_WORDS, keyDigest } from './key-digest.js';

/** Of one slot: the digest of a key and an offset. */
const SLOT_BYTES = 4 * DIGEST_WORDS + 8;
const FIRST_SLOTS = 1024;
const GROWTH = 4;
/** The offset in a slot without a key; no key has it. */
const EMPTY = -1;
/** Kafka's default is 0.9, with steps that differ from key to key; steps of one want more room. */
const LOAD_FACTOR = 0.75;

/** As many slots as fit into so many bytes. */
export function slotsWithin(maxBytes: number): number {
  return Math.max(2, Math.floor(maxBytes / SLOT_BYTES));
}

/**
 * Key → last offset, in bounded memory whatever the number and the length of the keys (Kafka's SkimpyOffsetMap): of a
 * key it keeps a digest of 128 bits, see `keyDigest`. A flat table with linear probing, which grows as it fills, up to
 * `maxSlots`; full at three quarters.
 */
export class OffsetMap {
  readonly #maxSlots: number;
  readonly #digest = new Int32Array(DIGEST_WORDS);
  #slots: number;
  #digests: Int32Array;
  #offsets: Float64Array;
  #size = 0;

  constructor(maxSlots: number) {
    assert(maxSlots >= 2, 'a map takes a key'); // three quarters of two slots are one
    this.#maxSlots = maxSlots;
    this.#slots = Math.min(maxSlots, FIRST_SLOTS);
    this.#digests = new Int32Array(this.#slots * DIGEST_WORDS);
    this.#offsets = new Float64Array(this.#slots).fill(EMPTY);
  }

  /** Keys. */
  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#size >= capacityOf(this.#maxSlots);
  }

  /** Notes that the key in `bytes` from `from` to `to` (exclusive) was written at `offset`. The map is not full. */
  put(bytes: Uint8Array, from: number, to: number, offset: number): void {
    assert(!this.isFull, 'the map has room');
    assert(offset >= 0, 'offsets are natural numbers');
    if (this.#size >= capacityOf(this.#slots)) this.#grow();
    keyDigest(bytes, from, to, this.#digest);
    const slot = this.#slotOf(this.#digest, 0);
    if (this.#offsets[slot] === EMPTY) {
      this.#digests.set(this.#digest, slot * DIGEST_WORDS);
      this.#size++;
    }
    this.#offsets[slot] = offset;
  }

  /** The last offset noted for the key; -1 where there is none. */
  get(bytes: Uint8Array, from: number, to: number): number {
    keyDigest(bytes, from, to, this.#digest);
    return this.#offsets[this.#slotOf(this.#digest, 0)]!;
  }

  /** Where the digest at `at` is, or would be put. */
  #slotOf(digests: Int32Array, at: number): number {
    const first = digests[at]!;
    const second = digests[at + 1]!;
    const third = digests[at + 2]!;
    const fourth = digests[at + 3]!;
    let slot = (first >>> 0) % this.#slots;
    for (; this.#offsets[slot] !== EMPTY; slot = slot + 1 === this.#slots ? 0 : slot + 1) {
      const known = slot * DIGEST_WORDS;
      if (
        this.#digests[known] === first &&
        this.#digests[known + 1] === second &&
        this.#digests[known + 2] === third &&
        this.#digests[known + 3] === fourth
      ) {
        break;
      }
    }
    return slot;
  }

  #grow(): void {
    const [digests, offsets] = [this.#digests, this.#offsets];
    this.#slots = Math.min(this.#maxSlots, GROWTH * this.#slots);
    this.#digests = new Int32Array(this.#slots * DIGEST_WORDS);
    this.#offsets = new Float64Array(this.#slots).fill(EMPTY);
    for (let old = 0; old < offsets.length; old++) {
      const offset = offsets[old]!;
      if (offset === EMPTY) continue;
      const slot = this.#slotOf(digests, old * DIGEST_WORDS);
      this.#digests.set(digests.subarray(old * DIGEST_WORDS, (old + 1) * DIGEST_WORDS), slot * DIGEST_WORDS);
      this.#offsets[slot] = offset;
    }
  }
}

/** What a pass knows of the dirty part of a log: beyond `latestOffset` it knows nothing. */
export interface DirtyPart {
  readonly offsets: OffsetMap;
  /** Inclusive. */
  readonly latestOffset: number;
}

/** Linear probing ends at an empty slot: one always is. */
function capacityOf(slots: number): number {
  return Math.floor(slots * LOAD_FACTOR);
}
