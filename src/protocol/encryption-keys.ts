/**
 * AES-GCM keys as a host has them: all that an application gave to one `Kafka`, and which of them is in use. They may be
 * non-extractable, are kept in memory alone, and end with the worker.
 */
export interface EncryptionKeys {
  /** What is encrypted from now on is encrypted with this one. */
  readonly keyId: string;
  readonly keys: Readonly<Record<string, CryptoKey>>;
}

/** Of one page; the oldest are forgotten. */
const MAX_RINGS = 16;

/** The rings, oldest first, with one more; the same ones where it is known. */
export function withKeys(rings: readonly EncryptionKeys[], keys: EncryptionKeys): readonly EncryptionKeys[] {
  return rings.some((known) => isSame(known, keys)) ? rings : [...rings, keys].slice(-MAX_RINGS);
}

function isSame(a: EncryptionKeys, b: EncryptionKeys): boolean {
  const ids = Object.keys(a.keys);
  return (
    a.keyId === b.keyId && ids.length === Object.keys(b.keys).length && ids.every((id) => a.keys[id] === b.keys[id])
  );
}
