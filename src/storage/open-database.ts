import { KafkaError } from '../protocol/errors.js';
import type { Clock } from '../runtime/runtime.js';
import { completionOf, resultOf } from './idb-request.js';
import { isWebKit } from './is-webkit.js';
import type { JournalRules } from './journal.js';
import { databaseName, type LogSchema, missingStores, SCHEMA_VERSION, upgrade } from './schema.js';
import { storageError, storageUnavailableError } from './storage-errors.js';

/** WebKit's open sometimes never settles, Chromium's may fail while another process recovers: then once more. */
const MAX_ATTEMPTS = 3;
const OPEN_DEADLINE_MS = 6_000;
const BACKOFF_MS = 100;

const TRANSIENT: ReadonlySet<string> = new Set(['UnknownError', 'AbortError', 'TimeoutError']);
const DENIED: ReadonlySet<string> = new Set(['SecurityError', 'NotSupportedError', 'InvalidStateError']);

export interface DatabaseOptions {
  readonly clusterName: string;
  readonly brokerId: number;
  /** Becomes the incarnation's id if the database is not there yet. */
  readonly newIncarnationId: string;
  /** For the deadlines of opening; without one it waits as long as the platform does. */
  readonly clock?: Clock;
  /** Default: the global one. A storage bucket has its own. */
  readonly indexedDB?: IDBFactory;
  /** What this code takes for its version; for tests. Default: SCHEMA_VERSION. */
  readonly schemaVersion?: number;
  /** Default: JOURNAL_RULES. */
  readonly journalRules?: JournalRules | undefined;
  /**
   * Whether a transaction begins only when the one before has ended. Default: in WebKit. There, of a worker that ends, with
   * its page or before, while several are in flight, one may stay behind (bug 324094), and holds up all others of the
   * database, in all tabs, until the process ends. So does one that was told to `commit()` before its first answer. One
   * alone that begins with a request goes as it should.
   */
  readonly oneTransactionAtATime?: boolean;
}

/** An open connection that makes way for an upgrade, and whose data it is; undefined: somebody else's. */
export interface OpenDatabase {
  readonly database: IDBDatabase;
  readonly incarnationId: unknown;
}

/**
 * Opens a broker's database, makes or upgrades it where needed, and checks that it is whole.
 * @throws KafkaError KAFKA_STORAGE_ERROR: no IndexedDB here (`isStorageUnavailable`), it failed or did not answer, or
 *   the database is damaged. UNSUPPORTED_VERSION: a newer version of this code made it.
 */
export function openDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  return insistently(options, (factory, name) => openWhole(factory, name, options));
}

/**
 * Opens the database of a newer version, as it is, for reading alone.
 * @throws KafkaError as `openDatabase` does. UNSUPPORTED_VERSION: what lies there means something else by now.
 */
export function openNewerDatabase(options: DatabaseOptions): Promise<OpenDatabase> {
  const { schemaVersion = SCHEMA_VERSION } = options;
  return insistently(
    options,
    (factory, name) => resultOf(factory.open(name), null),
    async (database) => {
      const isThere = missingStores(database.objectStoreNames).length === 0;
      const least = isThere ? await metaRow(database, 'minReaderVersion', options) : undefined;
      if (typeof least === 'number' && least <= schemaVersion) return;
      const expected = `expected version ${schemaVersion}, found ${database.version}`;
      const text = `${database.name}: ${expected}, which this version must not even read: reload the page`;
      throw new KafkaError('UNSUPPORTED_VERSION', text);
    },
  );
}

/** See `DatabaseOptions.oneTransactionAtATime`. */
export function isOneAtATime({ oneTransactionAtATime = isWebKit() }: DatabaseOptions): boolean {
  return oneTransactionAtATime;
}

/** A row of `meta`, in a transaction of its own. */
async function metaRow(
  database: IDBDatabase,
  key: LogSchema['meta']['key'],
  options: DatabaseOptions,
): Promise<unknown> {
  const transaction = database.transaction('meta');
  const ended = isOneAtATime(options) && completionOf(transaction);
  const row = await resultOf(transaction.objectStore('meta').get(key));
  if (ended) await ended;
  return row;
}

/** Opens, and looks whether what is there may be used; either in time, and then once more. */
async function insistently(
  options: DatabaseOptions,
  open: (factory: IDBFactory, name: string) => Promise<IDBDatabase>,
  look?: (database: IDBDatabase) => Promise<void>,
): Promise<OpenDatabase> {
  const { clock } = options;
  const factory = factoryOf(options);
  const name = databaseName(options.clusterName, options.brokerId);
  for (let attempt = 1; ; attempt++) {
    let database: IDBDatabase | undefined;
    let madeWay = false;
    try {
      database = await inTime(open(factory, name), clock, (late) => late.close());
      // Who upgrades or deletes may wait right behind us, and is told of once: nobody else listens yet.
      database.onversionchange = ({ target }): void => {
        madeWay = true;
        (target as IDBDatabase).close();
      };
      if (look) await inTime(look(database), clock);
      const incarnationId = await inTime(metaRow(database, 'incarnation', options), clock);
      if (!madeWay) return { database, incarnationId };
    } catch (error) {
      database?.close();
      const isDenied = database === undefined && saysDenied(error);
      const isTransient = madeWay || TRANSIENT.has(nameOf(error));
      if (attempt >= MAX_ATTEMPTS || isDenied || !isTransient) throw openError(name, error, isDenied);
      await clock?.sleep(BACKOFF_MS * attempt);
    }
  }
}

function factoryOf(options: DatabaseOptions): IDBFactory {
  let found: IDBFactory | null | undefined;
  try {
    found = options.indexedDB ?? globalThis.indexedDB;
  } catch (error) {
    // Where the user denies storage, reading the property throws.
    throw storageUnavailableError(nameOf(error));
  }
  if (!found) throw storageUnavailableError('there is none');
  return found;
}

/** What comes behind the deadline is given to `late`: a connection is closed again, so that it blocks nobody. */
async function inTime<T>(answer: Promise<T>, clock: Clock | undefined, late?: (value: T) => void): Promise<T> {
  if (!clock) return answer;
  const settled = new AbortController();
  const tooLate = clock.sleep(OPEN_DEADLINE_MS, settled.signal).then(() => {
    answer.then(late, () => {});
    throw new DOMException(`no answer in ${OPEN_DEADLINE_MS} ms; another tab may hold it open`, 'TimeoutError');
  });
  tooLate.catch(() => {});
  return Promise.race([answer, tooLate]).finally(() => settled.abort());
}

/** Opens, and makes anew a database without any object store, which holds nothing. */
async function openWhole(factory: IDBFactory, name: string, options: DatabaseOptions): Promise<IDBDatabase> {
  for (;;) {
    const database = await openOnce(factory, name, options);
    const missing = missingStores(database.objectStoreNames);
    if (missing.length === 0) return database;
    const isEmpty = database.objectStoreNames.length === 0;
    database.close();
    if (!isEmpty) throw storageError(`open ${name}`, `object stores ${missing.join(', ')} are missing`);
    await resultOf(factory.deleteDatabase(name), null);
  }
}

function openOnce(
  factory: IDBFactory,
  name: string,
  { newIncarnationId, schemaVersion = SCHEMA_VERSION }: DatabaseOptions,
): Promise<IDBDatabase> {
  const request = factory.open(name, schemaVersion);
  request.onupgradeneeded = (event): void => {
    const { result: database, transaction } = request;
    if (transaction) upgrade(event.oldVersion, { database, transaction, newIncarnationId });
  };
  return resultOf(request, null);
}

function openError(name: string, error: unknown, isDenied: boolean): unknown {
  const reason = nameOf(error);
  if (reason === 'VersionError') {
    const message = `${name} is of a newer version than ${SCHEMA_VERSION}, which this code knows: reload the page`;
    return new KafkaError('UNSUPPORTED_VERSION', message, { cause: error });
  }
  if (isDenied) return storageUnavailableError(reason);
  return error instanceof DOMException ? storageError(`open ${name}`, error) : error;
}

/** Of a failure to open. Where a person blocks the site's data, Chromium says so in the text alone. */
function saysDenied(error: unknown): boolean {
  return DENIED.has(nameOf(error)) || (error instanceof DOMException && /denied permission/.test(error.message));
}

function nameOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : '';
}
