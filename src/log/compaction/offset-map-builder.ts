import { type BatchAt, compressionOf, isControl, lastOffsetOf } from '../../record/batch-header.js';
import { NULL_START, RecordCursor } from '../../record/record-batch-decoder.js';
import type { BatchKeys } from '../batch-keys.js';
import { laidOpen } from './clean-batch.js';
import type { CleanedTransactions } from './cleaned-transactions.js';
import type { DirtyPart, OffsetMap } from './offset-map.js';

/**
 * Reads the dirty part of a log, batch after batch, and notes the last offset of each key. Data of aborted transactions
 * replaces nothing.
 */
export class OffsetMapBuilder {
  readonly #offsets: OffsetMap;
  readonly #transactions: CleanedTransactions;
  readonly #firstDirtyOffset: number;
  readonly #batchKeys: BatchKeys | undefined;
  #latestOffset: number;

  constructor(
    offsets: OffsetMap,
    {
      transactions,
      firstDirtyOffset,
      batchKeys,
    }: {
      readonly transactions: CleanedTransactions;
      readonly firstDirtyOffset: number;
      readonly batchKeys: BatchKeys | undefined;
    },
  ) {
    this.#offsets = offsets;
    this.#batchKeys = batchKeys;
    this.#transactions = transactions;
    this.#firstDirtyOffset = firstDirtyOffset;
    this.#latestOffset = firstDirtyOffset - 1;
  }

  /** Also where it ended because the map was full. */
  get dirty(): DirtyPart {
    return { offsets: this.#offsets, latestOffset: this.#latestOffset };
  }

  /**
   * Takes the next batch; false where the map is full: the pass ends there.
   * @throws KafkaError CORRUPT_MESSAGE: its records cannot be read.
   */
  async add(bytes: Uint8Array, batch: BatchAt): Promise<boolean> {
    const { header, at } = batch;
    if (isControl(header)) this.#transactions.passControlBatch(bytes, batch);
    else if (!this.#transactions.passDataBatch(batch)) {
      const plain = compressionOf(header) === 0 ? bytes : await laidOpen(bytes, at, this.#batchKeys);
      // Records that cannot be read here replace nothing.
      if (plain && !this.#addRecords(plain === bytes ? new RecordCursor(bytes, at, header) : new RecordCursor(plain))) {
        return false;
      }
    }
    this.reached(lastOffsetOf(header) + 1);
    return true;
  }

  /** All below this offset has been added: what was not there is a gap. */
  reached(offset: number): void {
    this.#latestOffset = Math.max(this.#latestOffset, offset - 1);
  }

  #addRecords(cursor: RecordCursor): boolean {
    while (cursor.next()) {
      if (cursor.keyStart === NULL_START || cursor.offset < this.#firstDirtyOffset) continue;
      if (this.#offsets.isFull) return false;
      this.#offsets.put(cursor.bytes, cursor.keyStart, cursor.keyEnd, cursor.offset);
      this.#latestOffset = cursor.offset;
    }
    return true;
  }
}
