import { KafkaError } from '../protocol/errors.js';
import type { StorageFigures } from '../protocol/storage-state.js';

const UNAVAILABLE = 'NotSupportedError';
const WEDGED = 'TimeoutError';

/** An append or deletion of a deposed leader. */
export function fencedError(writerEpoch: number, storedEpoch: number): KafkaError {
  return new KafkaError(
    'FENCED_LEADER_EPOCH',
    `the write carries leader epoch ${writerEpoch}, the database is at epoch ${storedEpoch}: nothing was written`,
  );
}

export function isFenced(error: unknown): error is KafkaError {
  return error instanceof KafkaError && error.type === 'FENCED_LEADER_EPOCH';
}

/** A failure of the platform's storage. The text names what was done and the platform's name of the failure. */
export function storageError(doing: string, cause: unknown): KafkaError {
  return new KafkaError('KAFKA_STORAGE_ERROR', `${doing}: ${describe(cause)}`, { cause });
}

/** The commit was refused for want of space. */
export function storageFullError(doing: string, storage: StorageFigures, cause: unknown): KafkaError {
  const { usage = 'an unknown number of', quota = 'which the browser does not tell the size' } = storage;
  const message = `${doing} (${usage} bytes are used of a quota of ${quota}): ${describe(cause)}`;
  return new KafkaError('KAFKA_STORAGE_ERROR', message, { cause, storage });
}

/** A change of raw rows while newer ones of the log wait in the journal. */
export function undrainedError(log: number): KafkaError {
  return storageError(`change the rows of log ${log}`, new Error('expected nothing of it in the journal, found some'));
}

/** A request that did not settle: whether it took effect is unknown. The connection is of no use any more. */
export function wedgedError(doing: string, limitMs: number): KafkaError {
  const why = `no answer in ${limitMs} ms`;
  const message = `the database connection was dropped: ${doing}: ${why}`;
  return new KafkaError('KAFKA_STORAGE_ERROR', message, { cause: new DOMException(why, WEDGED) });
}

/** No IndexedDB here, or it may not be used: no retry helps, only another setting or browser. */
export function storageUnavailableError(why: string): KafkaError {
  const message = `IndexedDB cannot be used here (${why}): the user denies storage, or the page is sandboxed or private`;
  return new KafkaError('KAFKA_STORAGE_ERROR', message, { cause: new DOMException(why, UNAVAILABLE) });
}

/** The commit failed because the origin's storage is full: free some, then go on. */
export function isQuotaExceeded(error: unknown): boolean {
  return causeName(error) === 'QuotaExceededError';
}

/** Opening failed because this page has no IndexedDB at all or is not let at it. */
export function isStorageUnavailable(error: unknown): boolean {
  return causeName(error) === UNAVAILABLE;
}

/** The store was lost because a request of it did not settle. */
export function isWedged(error: unknown): boolean {
  return causeName(error) === WEDGED;
}

function causeName(error: unknown): string | undefined {
  if (!(error instanceof KafkaError) || error.type !== 'KAFKA_STORAGE_ERROR') return undefined;
  return error.cause instanceof Error || error.cause instanceof DOMException ? error.cause.name : undefined;
}

function describe(cause: unknown): string {
  if (cause instanceof KafkaError) return cause.message;
  if (cause instanceof Error || cause instanceof DOMException) return `${cause.name}: ${cause.message}`;
  return String(cause);
}
