/** Bytes of a record as a person reads them. Text only: nothing of it is ever markup. */
export type Decoded =
  | { readonly format: 'null' }
  | { readonly format: 'json'; readonly text: string }
  | { readonly format: 'text'; readonly text: string }
  | { readonly format: 'hex'; readonly text: string };

const HEX_BYTES_PER_LINE = 16;
const MAX_HEX_BYTES = 4096;

/**
 * Control characters, which show as nothing or as a box; spaces and hyphens of no width; marks, embeddings, overrides and
 * isolates of direction: text with them reads otherwise than it is written. Joiners stay: scripts and emoji need them.
 */
const MISLEADING = /[\p{Cc}\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;
const CONTROL = /\p{Cc}/u;
const LAID_OUT = /[\t\n\r]/g;

/** null, JSON, UTF-8 text, or else a hex dump; never fails. */
export function decode(bytes: Uint8Array | null): Decoded {
  if (bytes === null) return { format: 'null' };
  const text = printable(bytes);
  if (text === undefined) return { format: 'hex', text: hexDump(bytes) };
  return isJson(text) ? { format: 'json', text } : { format: 'text', text };
}

/** One line for a table cell, made from the first bytes alone; undefined for null. */
export function preview(bytes: Uint8Array | null, maxLength = 160): string | undefined {
  if (bytes === null) return undefined;
  const isCut = bytes.length > 4 * maxLength;
  const start = isCut ? bytes.subarray(0, 4 * maxLength) : bytes;
  const text = printable(start, isCut) ?? hex(start.subarray(0, maxLength));
  const line = text.replace(/\s+/g, ' ');
  return isCut || line.length > maxLength ? `${visibleText(cutAt(line, maxLength))}…` : visibleText(line);
}

/** Text as it may be shown: what would hide in it or change its direction is spelled out, such as `⟨U+202E⟩`. */
export function visibleText(text: string): string {
  return text.replace(MISLEADING, (character) => {
    if (character.match(LAID_OUT)) return character;
    return `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;
  });
}

/** At most so long, and no half of a character of two code units at its end. */
export function cutAt(text: string, maxLength: number): string {
  return text.slice(0, maxLength).replace(/[\ud800-\udbff]$/, '');
}

/** UTF-8 without control characters, or undefined. The last character of a cut may be missing. */
function printable(bytes: Uint8Array, isCut = false): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: isCut });
    return isPrintable(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function isPrintable(text: string): boolean {
  return !CONTROL.test(text.replace(LAID_OUT, ''));
}

function isJson(text: string): boolean {
  if (!/^\s*[[{"]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Indents JSON without parsing its numbers, so that 64-bit integers keep every digit
 * (`JSON.parse` would round them).
 */
export function indentJson(text: string): string {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let depth = 0;
  let out = '';
  for (const [i, token] of tokens.entries()) {
    const empty = (token === '{' && tokens[i + 1] === '}') || (token === '[' && tokens[i + 1] === ']');
    if (token === '{' || token === '[') {
      depth++;
      out += empty ? token : `${token}\n${'  '.repeat(depth)}`;
    } else if (token === '}' || token === ']') {
      depth--;
      const opened = tokens[i - 1];
      out += opened === '{' || opened === '[' ? token : `\n${'  '.repeat(depth)}${token}`;
    } else if (token === ',') out += `,\n${'  '.repeat(depth)}`;
    else if (token === ':') out += ': ';
    else out += token;
  }
  return out;
}

function hexDump(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < Math.min(bytes.length, MAX_HEX_BYTES); at += HEX_BYTES_PER_LINE) {
    const row = bytes.subarray(at, at + HEX_BYTES_PER_LINE);
    const ascii = Array.from(row, (byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex(row).padEnd(HEX_BYTES_PER_LINE * 3 - 1)}  ${ascii}`);
  }
  if (bytes.length > MAX_HEX_BYTES) lines.push(`… ${bytes.length - MAX_HEX_BYTES} bytes more`);
  return lines.join('\n');
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
