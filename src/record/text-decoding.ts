import { isAscii } from '../util/bytes.js';
import type { BatchHeader } from './record.js';
import { NULL_START, RecordCursor } from './record-batch-decoder.js';

const UTF8 = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The values of the uncompressed batch at `at` as texts, in order; null for tombstones. Malformed UTF-8 becomes U+FFFD.
 *
 * A decoder's call costs more than the decoding of a short text. So the values are moved together in a copy, and where
 * all of it is ASCII, one call decodes them at once; the texts are then parts of that one string (and keep it alive).
 * @throws KafkaError as `RecordCursor`
 */
export function decodeValueTexts(bytes: Uint8Array, at = 0, header?: BatchHeader): (string | null)[] {
  const cursor = new RecordCursor(bytes, at, header);
  const { recordCount, sizeInBytes } = cursor.header;
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
  return isAscii(packed, 0, end) ? cutText(UTF8.decode(packed.subarray(0, end)), ends) : decodeEach(packed, ends);
}
