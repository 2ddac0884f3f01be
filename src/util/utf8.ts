const ENCODER = new TextEncoder();
/** From here on one call of `encodeInto` is quicker than a loop over the characters (measured in Chromium). */
const ENCODE_INTO_FROM = 500;

/** Bytes of `text` as UTF-8; half of a surrogate pair counts as U+FFFD, as TextEncoder writes it. */
export function utf8Size(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x7f) continue;
    size += code <= 0x7ff ? 1 : 2;
    if (isPair(code, text, i)) i++; // four bytes, for two units that the length has counted already
  }
  return size;
}

/**
 * Writes `text` as UTF-8. `size` is its `utf8Size`, or, to save the counting, its length: if it turns out not to be
 * ASCII, then the answer is false and the `size` bytes at `at` are spoilt.
 */
export function writeUtf8(bytes: Uint8Array, at: number, text: string, size: number): boolean {
  if (size >= ENCODE_INTO_FROM) {
    const { read, written } = ENCODER.encodeInto(text, bytes.subarray(at, at + size));
    return read === text.length && written === size;
  }
  if (size === text.length) return writeAscii(bytes, at, text);
  writeCharacters(bytes, at, text);
  return true;
}

function writeAscii(bytes: Uint8Array, at: number, text: string): boolean {
  let bits = 0; // one test behind the loop is quicker than one in it
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    bits |= code;
    bytes[at + i] = code;
  }
  return bits <= 0x7f;
}

function writeCharacters(bytes: Uint8Array, from: number, text: string): void {
  let at = from;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code <= 0x7f) {
      bytes[at++] = code;
    } else if (code <= 0x7ff) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else if (isPair(code, text, i)) {
      code = text.codePointAt(i++)!;
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    } else {
      if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
      bytes[at++] = 0xe0 | (code >> 12);
      bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[at++] = 0x80 | (code & 0x3f);
    }
  }
}

/** Whether `code`, the unit of `text` at `i`, is the first of a surrogate pair. */
function isPair(code: number, text: string, i: number): boolean {
  if (code < 0xd800 || code > 0xdbff) return false;
  const next = text.charCodeAt(i + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}
