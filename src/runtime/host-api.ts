import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import { KafkaError, knownErrorName } from '../protocol/errors.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import type { StorageFigures } from '../protocol/storage-state.js';

/**
 * Of all that a page and its worker say to each other, requests and their meaning included. To be raised whenever one of
 * them would misunderstand the other as it was before: they may be of two releases, where a page that was loaded before
 * a deployment starts a worker after it, or the other way round.
 */
export const LINK_VERSION: number = 1;

/** What a page tells its worker at the start. Plain data. */
export interface HostStart {
  /** LINK_VERSION of the page. Pages of before there were versions say nothing, and are understood. */
  readonly version: number;
  readonly clusterName: string;
  /** Broker configs that are set, by their dotted names. */
  readonly brokerConfig: Readonly<Record<string, string>>;
  /** What people see of this tab in lists of hosts, such as its title. */
  readonly label: string;
  readonly visible: boolean;
  /** Run over memory where storage is denied. */
  readonly memoryIfDenied?: boolean;
}

export interface HostStarted {
  /** LINK_VERSION of the worker. Where it is not that of the page, there is no host, and the rest is empty. */
  readonly version: number;
  readonly hostId: string;
  /** The lock that the host holds from before its answer until it dies: how the page learns of its death. */
  readonly lockName: string;
}

/** An answer, or a failure as data: Comlink would keep only the name and the text of an error. */
export type Reply<T> =
  | { readonly ok: T }
  | {
      readonly error: {
        readonly type: string;
        readonly message: string;
        readonly storage?: StorageFigures | undefined;
      };
    };

/** A new way to the one that introduces the hosts of a cluster to each other, asked of the page: workers have none. */
export type Introducer = () => Promise<MessagePort | undefined>;

/**
 * A request of the page, and what becomes of it: messages of their own beside Comlink's, whose bookkeeping for a call
 * costs as much as that of the whole way to the log. `call` is new for each call of a page.
 */
export interface RequestMessage {
  readonly call: number;
  readonly api: ApiName;
  readonly request: Requests[ApiName];
}

/** Nobody waits for that call any more. */
export interface CancelMessage {
  readonly cancelled: number;
}

export interface ReplyMessage {
  readonly answered: number;
  readonly reply: Reply<Responses[ApiName]>;
}

/** What else a worker exposes to its page, one Comlink call for each thing asked. */
export interface HostApi {
  start(options: HostStart, introducer: Introducer): Promise<Reply<HostStarted>>;
  visibility(visible: boolean): void;
  /** All keys that the page has given so far, of each `Kafka` for itself, oldest first. */
  keyRings(rings: readonly EncryptionKeys[]): Promise<void>;
  close(): Promise<void>;
}

/** The failure as data. What is no `KafkaError` is a bug, and has its name in the text. */
export function errorReply(error: unknown): Reply<never> {
  if (error instanceof KafkaError)
    return { error: { type: error.type, message: error.message, storage: error.storage } };
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { error: { type: 'UNKNOWN_SERVER_ERROR', message } };
}

/** The answer of a reply. @throws KafkaError the failure that it carries. */
export function replied<T>(reply: Reply<T>): T {
  if ('ok' in reply) return reply.ok;
  const { type, message, storage } = reply.error;
  throw new KafkaError(knownErrorName(type), message, { storage });
}
