/** AES-GCM by WebCrypto, with nonces of 96 random bits (NIST SP 800-38D: at most 2^32 for one key). */
export const AES_GCM = 'AES-GCM';
const NONCE_BYTES = 12;

export interface Sealed {
  readonly nonce: Uint8Array;
  /** The tag of 16 bytes at its end. */
  readonly ciphertext: Uint8Array;
}

export async function sealAesGcm(
  key: CryptoKey,
  { plaintext, additionalData }: { readonly plaintext: Uint8Array; readonly additionalData: Uint8Array },
): Promise<Sealed> {
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const algorithm = { name: AES_GCM, iv: nonce, additionalData: own(additionalData) };
  return { nonce, ciphertext: new Uint8Array(await crypto.subtle.encrypt(algorithm, key, own(plaintext))) };
}

/** Rejects with an OperationError where key, nonce, ciphertext or additional data are not those of `sealAesGcm`. */
export async function openAesGcm(
  key: CryptoKey,
  { nonce, ciphertext, additionalData }: Sealed & { readonly additionalData: Uint8Array },
): Promise<Uint8Array> {
  const algorithm = { name: AES_GCM, iv: own(nonce), additionalData: own(additionalData) };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, own(ciphertext)));
}

/** WebCrypto takes no view of shared memory, and its types say so. */
function own(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes);
}
