import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel } from '../protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import type { Runtime } from '../runtime/runtime.js';
import { linkedController } from '../util/signal.js';
import { KafkaJSConnectionError, KafkaJSRequestTimeoutError, toKafkaJSError } from './errors.js';

interface NetworkInstrumentation {
  readonly events: { readonly REQUEST: string; readonly REQUEST_TIMEOUT: string };
  hears(eventName: string): boolean;
  emit(eventName: string, payload?: unknown): void;
}

/** The channel that all clients of one `Kafka` share: opened by the first that needs it, closed by the last. */
export class SharedChannel {
  readonly #open: () => Promise<RequestChannel> | RequestChannel;
  #channel: Promise<RequestChannel> | undefined;
  #users = 0;

  constructor(open: () => Promise<RequestChannel> | RequestChannel) {
    this.#open = open;
  }

  /**
   * @throws KafkaJSConnectionError, with the `type` of what it is about, where the host cannot be started; the next call
   *   tries again.
   */
  async acquire(): Promise<RequestChannel> {
    this.#users++;
    this.#channel ??= Promise.resolve().then(this.#open);
    const channel = this.#channel;
    try {
      return await channel;
    } catch (error) {
      this.#users--;
      if (this.#channel === channel) this.#channel = undefined;
      throw connectionError(error);
    }
  }

  async release(): Promise<void> {
    if (--this.#users > 0) return;
    const channel = this.#channel;
    this.#channel = undefined;
    await (await channel)?.close();
  }
}

/** Opening a database that fails is tried again in the host already, and denied storage stays denied: not once more. */
function connectionError(error: unknown): KafkaJSConnectionError {
  const retriable = error instanceof KafkaError && error.retriable && error.type !== 'KAFKA_STORAGE_ERROR';
  const text = error instanceof Error ? error.message : String(error);
  return new KafkaJSConnectionError(`Connection error: ${text}`, { cause: error, retriable });
}

interface ConnectionParts {
  readonly shared: SharedChannel;
  readonly runtime: Runtime;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly instrumentation: NetworkInstrumentation;
  readonly onOpen: () => void;
  readonly onClosed: () => void;
}

interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Added to the request timeout, for requests that wait on purpose. */
  readonly waitMs?: number;
  /** In place of the request timeout. */
  readonly timeoutMs?: number;
}

/** One client's use of the shared channel: request timeouts, events, and the end of all requests at `close`. */
export class Connection {
  readonly runtime: Runtime;
  readonly clientId: string;
  readonly #parts: ConnectionParts;
  #channel: RequestChannel | undefined;
  #opening: Promise<void> | undefined;
  #closed = new AbortController();
  #correlationId = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.runtime = parts.runtime;
    this.clientId = parts.clientId;
  }

  get isOpen(): boolean {
    return this.#channel !== undefined;
  }

  /** Idempotent; also opens again after `close`. */
  async open(): Promise<void> {
    if (this.#channel !== undefined) return;
    this.#opening ??= this.#parts.shared.acquire().then((channel) => {
      if (this.#closed.signal.aborted) this.#closed = new AbortController();
      this.#channel = channel;
      this.#parts.onOpen();
    });
    try {
      await this.#opening;
    } finally {
      this.#opening = undefined;
    }
  }

  /** Ends what is in flight with an error and lets go of the channel. Idempotent. */
  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    if (this.#channel === undefined) return;
    this.#channel = undefined;
    this.#parts.onClosed();
    this.#closed.abort(new KafkaJSConnectionError('Connection closed: the client was disconnected'));
    await this.#parts.shared.release();
  }

  /**
   * @throws KafkaJSProtocolError (KafkaJSRequestTimeoutError where no answer came in time); the signal's reason.
   */
  async request<A extends ApiName>(api: A, request: Requests[A], options: RequestOptions = {}): Promise<Responses[A]> {
    if (this.#channel === undefined) await this.open();
    const channel = this.#channel;
    if (channel === undefined) throw new KafkaJSConnectionError('Connection closed: the client was disconnected');
    const { runtime, instrumentation, requestTimeoutMs } = this.#parts;
    const { REQUEST, REQUEST_TIMEOUT } = instrumentation.events;
    const correlationId = this.#correlationId++;
    const sentAt = runtime.clock.wallMs();
    const payload = (): object => ({
      apiName: api,
      clientId: this.clientId,
      correlationId,
      createdAt: sentAt,
      sentAt,
      pendingDuration: 0,
      broker: 'tab:0',
    });

    const limitMs = (options.timeoutMs ?? requestTimeoutMs) + (options.waitMs ?? 0);
    const ended = linkedController(this.#closed.signal, options.signal);
    const timeout = runtime.clock.sleep(limitMs, ended.signal).then(() => {
      instrumentation.emit(REQUEST_TIMEOUT, payload());
      const text = `Request ${api}(correlationId: ${correlationId}) timed out: no answer within ${limitMs} ms`;
      throw new KafkaJSRequestTimeoutError(new KafkaError('REQUEST_TIMED_OUT', text));
    });
    try {
      const response = await Promise.race([channel.send(api, request, { signal: ended.signal }), timeout]);
      if (instrumentation.hears(REQUEST)) {
        instrumentation.emit(REQUEST, { ...payload(), duration: runtime.clock.wallMs() - sentAt });
      }
      return response;
    } catch (error) {
      throw toKafkaJSError(error);
    } finally {
      timeout.catch(() => {});
      ended.abort();
    }
  }
}
