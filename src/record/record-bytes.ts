import { bytesEqual } from '../util/bytes-equal.js';
import type { ValueTexts } from './value-texts.js';

/** The encodings of Node's Buffer that are in use outside Node; also in capitals. */
export type TextEncoding = 'utf8' | 'utf-8' | 'hex' | 'base64' | 'latin1' | 'binary' | 'ascii';

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** Longer arguments would overflow the stack of `String.fromCharCode`. */
const CODES_PER_CALL = 8192;

/**
 * Bytes of a record that read like Node's Buffer where KafkaJS code expects one: `message.value.toString()` is the text.
 * A view: it shares the buffer of its batch and keeps that alive. Good for whatever wants an ArrayBuffer below (a Blob,
 * WebCrypto), and without a type argument, which TypeScript knows from 5.7 on only.
 */
export class RecordBytes extends Uint8Array {
  readonly #texts: ValueTexts | undefined;

  /** As those of Uint8Array, which makes its own copies and parts with it; `texts` may know the text of these bytes. */
  constructor(buffer: ArrayBuffer, byteOffset?: number, length?: number, texts?: ValueTexts) {
    super(buffer, byteOffset, length);
    this.#texts = texts;
  }

  /**
   * The text of these bytes. Malformed UTF-8 becomes U+FFFD, as in Buffer.
   * @throws TypeError an encoding of another name
   */
  override toString(encoding: TextEncoding = 'utf8'): string {
    switch (encoding) {
      case 'utf8':
      case 'utf-8':
        return this.#texts?.textOf(this) ?? UTF8.decode(this);
      case 'hex':
        return hexText(this);
      case 'base64':
        return btoa(latin1Text(this));
      case 'latin1':
      case 'binary':
        return latin1Text(this);
      case 'ascii':
        return latin1Text(this.map((byte) => byte & 0x7f));
      default: {
        const lower = String(encoding).toLowerCase();
        if (lower !== encoding) return this.toString(lower as TextEncoding);
        throw new TypeError(`encoding: expected utf8, hex, base64, latin1 or ascii, found ${encoding}`);
      }
    }
  }

  /** What the language does without it, whatever the hint, but found at once: `String(value)` is called for each record. */
  [Symbol.toPrimitive](): string {
    return this.toString();
  }

  /** As Buffer's. */
  toJSON(): { type: 'Buffer'; data: number[] } {
    return { type: 'Buffer', data: Array.from(this) };
  }

  equals(other: Uint8Array): boolean {
    return bytesEqual(this, other);
  }
}

/** A view of `bytes` from `start` to `end` (exclusive). */
export function recordBytes(bytes: Uint8Array, start: number, end: number, texts?: ValueTexts): RecordBytes {
  const buffer = bytes.buffer as ArrayBuffer; // no batch comes in shared memory
  return new RecordBytes(buffer, bytes.byteOffset + start, end - start, texts);
}

/** The text of a record's bytes, whoever made the view. */
export function textOf(bytes: Uint8Array): string {
  return bytes instanceof RecordBytes ? bytes.toString() : UTF8.decode(bytes);
}

function latin1Text(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += CODES_PER_CALL) {
    text += String.fromCharCode(...bytes.subarray(at, at + CODES_PER_CALL));
  }
  return text;
}

function hexText(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i++) text += bytes[i]!.toString(16).padStart(2, '0');
  return text;
}
