/** What a leader can do with encrypted batches, having keys: see `batchKeys`. Nothing here rejects for want of a key. */
export interface BatchKeys {
  /** Whether there are keys that are no longer in use: batches may still be under them. */
  readonly rotates: boolean;
  /** Whether the batch at `at` names such a key; `open` says whether it is that key. */
  isOutdated(bytes: Uint8Array, at: number): boolean;
  /** The encrypted batch at `at`, whose checksum was looked at; undefined: no key of this host opens it. */
  open(bytes: Uint8Array, at: number): Promise<OpenedBatch | undefined>;
}

/** An encrypted batch, opened. */
export interface OpenedBatch {
  /** As it was before encryption, perhaps compressed, in a buffer of its own. */
  readonly clear: Uint8Array;
  /** It is under the key that is in use. */
  readonly isCurrent: boolean;
  /** A batch made of this one, perhaps compressed, under the key that is in use. */
  seal(clear: Uint8Array): Promise<Uint8Array>;
}
