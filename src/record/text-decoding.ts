import { isAscii } from '../util/bytes.js';
import type { BatchHeader } from './record.js';
import { NULL_START, RecordCursor } from './record-batch-decoder.js';

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });
/** For records that are longer on average, calls of the decoder are few enough. */
const JOINED_UP_TO = 400;

/**
 * The values of the uncompressed batch at `at` as texts, in order; null for tombstones. Malformed UTF-8 becomes U+FFFD.
 *
 * A decoder's call costs more than the decoding of a short text. So the values are moved together in a copy, and where
 * all of it is ASCII, one call decodes them at once; the texts are then parts of that one string (and keep it alive).
 * @throws KafkaError as `RecordCursor`
 */
export function decodeValueTexts(bytes: Uint8Array, at = 0, header?: BatchHeader): (string | null)[] {
  const cursor = new RecordCursor(bytes, at, header);
  const { sizeInBytes, recordCount } = cursor.header;
  if (sizeInBytes > recordCount * JOINED_UP_TO) return decodeOneByOne(cursor);
  const ends: number[] = [];
  const packed = bytes.slice(at, at + sizeInBytes);
  let end = 0;
  while (cursor.next()) {
    const { valueStart, valueEnd } = cursor;
    if (valueStart === NULL_START) {
      ends.push(NULL_START);
      continue;
    }
    packed.copyWithin(end, valueStart - at, valueEnd - at); // values only move towards the front
    end += valueEnd - valueStart;
    ends.push(end);
  }
  const values = packed.subarray(0, end);
  return isAscii(values) ? cutEach(UTF8.decode(values), ends) : decodeEach(values, ends);
}

function decodeOneByOne(cursor: RecordCursor): (string | null)[] {
  const texts: (string | null)[] = [];
  while (cursor.next()) {
    const { bytes, valueStart, valueEnd } = cursor;
    texts.push(valueStart === NULL_START ? null : UTF8.decode(bytes.subarray(valueStart, valueEnd)));
  }
  return texts;
}

/** Of ASCII, positions in bytes are positions in text. */
function cutEach(text: string, ends: readonly number[]): (string | null)[] {
  let start = 0;
  return ends.map((end) => {
    if (end === NULL_START) return null;
    const value = text.substring(start, end);
    start = end;
    return value;
  });
}

function decodeEach(values: Uint8Array, ends: readonly number[]): (string | null)[] {
  let start = 0;
  return ends.map((end) => {
    if (end === NULL_START) return null;
    const value = UTF8.decode(values.subarray(start, end));
    start = end;
    return value;
  });
}
