import { KafkaError } from '../protocol/errors.js';

const UNAVAILABLE = 'NotSupportedError';

/** An append or deletion of a deposed leader. */
export function fencedError(writerEpoch: number, storedEpoch: number): KafkaError {
  return new KafkaError(
    'FENCED_LEADER_EPOCH',
    `the write carries leader epoch ${writerEpoch}, the database is at epoch ${storedEpoch}: nothing was written`,
  );
}

/** A failure of the platform's storage. The text names what was done and the platform's name of the failure. */
export function storageError(doing: string, cause: unknown): KafkaError {
  return new KafkaError('KAFKA_STORAGE_ERROR', `${doing}: ${describe(cause)}`, { cause });
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

function causeName(error: unknown): string | undefined {
  if (!(error instanceof KafkaError) || error.type !== 'KAFKA_STORAGE_ERROR') return undefined;
  return error.cause instanceof Error || error.cause instanceof DOMException ? error.cause.name : undefined;
}

function describe(cause: unknown): string {
  if (cause instanceof KafkaError) return cause.message;
  if (cause instanceof Error || cause instanceof DOMException) return `${cause.name}: ${cause.message}`;
  return String(cause);
}
