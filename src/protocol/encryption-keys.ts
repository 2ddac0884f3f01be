/**
 * AES-GCM keys as a host has them: all that an application gave to one `Kafka`, and which of them is in use. They may be
 * non-extractable, are kept in memory alone, and end with the worker.
 */
export interface EncryptionKeys {
  /** What is encrypted from now on is encrypted with this one. */
  readonly keyId: string;
  readonly keys: Readonly<Record<string, CryptoKey>>;
}
