/** One header of a record; keys may repeat, order counts, a value may be null (Kafka's record format, KIP-82). */
export interface RecordHeader {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/** A record as it goes into a batch. Strings are written as UTF-8. */
export interface NewRecord {
  readonly key: Uint8Array | string | null;
  /** null is a tombstone. */
  readonly value: Uint8Array | string | null;
  readonly headers?: readonly NewRecordHeader[] | undefined;
  readonly timestampMs: number;
}

export interface NewRecordHeader {
  readonly key: string;
  readonly value: Uint8Array | string | null;
}

/** A record read back. Bytes are views into the batch's buffer: whoever keeps one keeps the buffer. */
export interface StoredRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** The fixed head of a v2 batch, without baseOffset's neighbours that only the codec needs. */
export interface BatchHeader {
  readonly baseOffset: number;
  /** Bytes of the whole batch, its 12 leading bytes included. */
  readonly sizeInBytes: number;
  readonly partitionLeaderEpoch: number;
  readonly crc: number;
  readonly attributes: number;
  readonly lastOffsetDelta: number;
  readonly baseTimestampMs: number;
  readonly maxTimestampMs: number;
  /** -1: neither idempotent nor transactional. */
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly baseSequence: number;
  readonly recordCount: number;
}
