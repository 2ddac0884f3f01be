import { KafkaError } from '../protocol/errors.js';
import { int16At, int32At, setInt16, setInt32 } from '../util/bytes.js';

export type ControlRecordType = 'abort' | 'commit' | 'unknown';

/** What a transaction's end writes into each of its partitions (KIP-98). */
export interface EndTransactionMarker {
  readonly type: 'abort' | 'commit';
  readonly coordinatorEpoch: number;
}

const KEY_BYTES = 4; // version 2 · type 2
const VALUE_BYTES = 6; // version 2 · coordinator epoch 4

/**
 * The type of a control record, from its key. Types that this implementation does not know are for others.
 * @throws KafkaError CORRUPT_MESSAGE: no key of a control record.
 */
export function controlRecordType(key: Uint8Array | null): ControlRecordType {
  return controlRecordKey(key).type;
}

/** Version and type of a control record. @throws KafkaError CORRUPT_MESSAGE: no key of a control record. */
export function controlRecordKey(key: Uint8Array | null): { version: number; type: ControlRecordType } {
  if (key === null || key.length < KEY_BYTES || int16At(key, 0) < 0) {
    const found = key === null ? 'null' : `${key.length} bytes`;
    throw new KafkaError('CORRUPT_MESSAGE', `control record: expected a key of version and type, found ${found}`);
  }
  const type = int16At(key, 2);
  return { version: int16At(key, 0), type: type === 0 ? 'abort' : type === 1 ? 'commit' : 'unknown' };
}

/** The coordinator epoch of an abort or commit marker, from its value. @throws KafkaError CORRUPT_MESSAGE */
export function coordinatorEpochOf(value: Uint8Array | null): number {
  if (value === null || value.length < VALUE_BYTES || int16At(value, 0) < 0) {
    const found = value === null ? 'null' : `${value.length} bytes`;
    throw new KafkaError(
      'CORRUPT_MESSAGE',
      `transaction marker: expected version and coordinator epoch, found ${found}`,
    );
  }
  return int32At(value, 2);
}

/** Key and value of the marker's record. */
export function encodeMarker({ type, coordinatorEpoch }: EndTransactionMarker): { key: Uint8Array; value: Uint8Array } {
  const key = new Uint8Array(KEY_BYTES);
  setInt16(key, 2, type === 'commit' ? 1 : 0);
  const value = new Uint8Array(VALUE_BYTES);
  setInt32(value, 2, coordinatorEpoch);
  return { key, value };
}
