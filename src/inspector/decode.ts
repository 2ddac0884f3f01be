/** Bytes of a record as a person reads them. Text only: nothing of it is ever markup. */
export type Decoded =
  | { readonly format: 'null' }
  | { readonly format: 'json'; readonly text: string }
  | { readonly format: 'text'; readonly text: string }
  | { readonly format: 'hex'; readonly text: string };

const HEX_BYTES_PER_LINE = 16;

/** null, JSON, UTF-8 text, or else a hex dump; never fails. */
export function decode(bytes: Uint8Array | null): Decoded {
  if (bytes === null) return { format: 'null' };
  const text = utf8(bytes);
  if (text === undefined) return { format: 'hex', text: hexDump(bytes) };
  return isJson(text) ? { format: 'json', text } : { format: 'text', text };
}

/** One line for a table cell. */
export function preview(decoded: Decoded, maxLength = 160): string {
  if (decoded.format === 'null') return 'null';
  const line = decoded.text.slice(0, maxLength * 2).replace(/\s+/g, ' ');
  return line.length > maxLength ? `${line.slice(0, maxLength)}…` : line;
}

function utf8(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return isPrintable(text) ? text : undefined;
  } catch {
    return undefined;
  }
}

function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 32 && code !== 9 && code !== 10 && code !== 13) return false;
  }
  return true;
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
  for (let at = 0; at < Math.min(bytes.length, 4096); at += HEX_BYTES_PER_LINE) {
    const row = [...bytes.subarray(at, at + HEX_BYTES_PER_LINE)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(HEX_BYTES_PER_LINE * 3 - 1)}  ${ascii}`);
  }
  return lines.join('\n');
}
