import { BROKER_ADDRESS } from '../protocol/broker-node.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel } from '../protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import type { ClientRuntime } from '../runtime/runtime.js';
import { abortable, deferred, linkedController, OVER, onAbort } from '../util/signal.js';
import type { RequestEventPayload } from './api/events.js';
import { Deadlines } from './deadlines.js';
import { KafkaJSConnectionError, KafkaJSRequestTimeoutError, toKafkaJSError } from './errors.js';
import { type Attempt, type RetryScope, withRetry } from './retry.js';

interface NetworkInstrumentation {
  readonly events: Readonly<Record<'CONNECT' | 'DISCONNECT' | 'REQUEST' | 'REQUEST_TIMEOUT', string>>;
  hears(eventName: string): boolean;
  emit(eventName: string, payload?: unknown): void;
}

/**
 * Who closes waits no longer for an answer, and less where the request timeout is less: a leader that dies is replaced
 * sooner, and a host that has fallen silent for good is not worth more.
 */
const LAST_ANSWER_MS = 10_000;

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
    this.#channel ??= (async () => this.#open())(); // at once: a worker takes longest to start
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
  readonly runtime: ClientRuntime;
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
  readonly runtime: ClientRuntime;
  readonly clientId: string;
  readonly #parts: ConnectionParts;
  #channel: RequestChannel | undefined;
  #opening: Promise<void> | undefined;
  readonly #deadlines: Deadlines;
  /** What ends each request that is in flight. */
  readonly #inFlight = new Set<(reason: unknown) => void>();
  /** From one opening to its close: attempts in between may wait, but not beyond. */
  #life = new AbortController();
  #correlationId = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.runtime = parts.runtime;
    this.clientId = parts.clientId;
    const { clock, deadlineClock = clock } = parts.runtime;
    this.#deadlines = new Deadlines(deadlineClock);
  }

  /**
   * Aborts at the next `close`. Work of several requests looks at it before each: a request by itself would open what
   * was closed meanwhile.
   */
  get life(): AbortSignal {
    return this.#life.signal;
  }

  /** Idempotent; also opens again after `close`. Requests do it by themselves, so that the event comes from here. */
  async open(): Promise<void> {
    if (this.#channel !== undefined) return;
    const { onOpen, shared, instrumentation } = this.#parts;
    onOpen(); // at once: what is still being opened can be closed, too
    this.#opening ??= shared.acquire().then((channel) => {
      this.#channel = channel;
      instrumentation.emit(instrumentation.events.CONNECT);
    });
    try {
      await this.#opening;
    } finally {
      this.#opening = undefined;
    }
  }

  /** Waits for the last answers to a client that closes, as long as one may take; never rejects. */
  async lastAnswer(work: Promise<unknown>): Promise<void> {
    const silence = this.runtime.clock.sleep(Math.min(this.#parts.requestTimeoutMs, LAST_ANSWER_MS), this.#life.signal);
    await Promise.race([work, silence]).catch(() => {});
  }

  /**
   * Ends what is in flight with an error and lets go of the channel, also of one that is being opened. Idempotent.
   */
  async close(): Promise<void> {
    await this.#opening?.catch(() => {});
    const { onClosed, shared, instrumentation } = this.#parts;
    onClosed();
    const wasOpen = this.#channel !== undefined;
    this.#channel = undefined;
    const reason = new KafkaJSConnectionError('Connection closed: the client was disconnected');
    for (const abandon of [...this.#inFlight]) abandon(reason);
    this.#life.abort(reason);
    this.#life = new AbortController();
    this.#deadlines.clear();
    if (!wasOpen) return;
    await shared.release();
    instrumentation.emit(instrumentation.events.DISCONNECT);
  }

  /** `withRetry`, as long as the connection lasts: nothing is tried, nor waited for, once the client was disconnected. */
  async retry<T>(scope: Omit<RetryScope, 'runtime'>, attempt: (at: Attempt) => Promise<T>): Promise<T> {
    const ended = linkedController(this.#life.signal, scope.signal);
    try {
      return await withRetry({ ...scope, runtime: this.runtime, signal: ended.signal }, attempt);
    } finally {
      ended.abort(OVER);
    }
  }

  /**
   * @throws KafkaJSProtocolError (KafkaJSRequestTimeoutError where no answer came in time); the signal's reason.
   */
  async request<A extends ApiName>(api: A, request: Requests[A], options: RequestOptions = {}): Promise<Responses[A]> {
    const { signal } = options;
    signal?.throwIfAborted();
    if (this.#channel === undefined) await abortable(this.open(), signal);
    const channel = this.#channel;
    if (channel === undefined) throw new KafkaJSConnectionError('Connection closed: the client was disconnected');
    const { runtime, instrumentation, requestTimeoutMs } = this.#parts;
    const { REQUEST, REQUEST_TIMEOUT } = instrumentation.events;
    const correlationId = this.#correlationId++;
    const sentAt = runtime.clock.wallMs();
    const payload = (): Omit<RequestEventPayload, 'duration'> => ({
      apiName: api,
      clientId: this.clientId,
      correlationId,
      createdAt: sentAt,
      sentAt,
      pendingDuration: 0,
      broker: BROKER_ADDRESS,
    });

    const limitMs = (options.timeoutMs ?? requestTimeoutMs) + (options.waitMs ?? 0);
    const abandoned = new AbortController();
    const { promise, resolve, reject } = deferred<Responses[A]>();
    const abandon = (reason: unknown): void => {
      reject(reason);
      abandoned.abort(reason);
    };
    this.#inFlight.add(abandon);
    const dropDeadline = this.#deadlines.add(limitMs, () => {
      const timedOut = payload();
      instrumentation.emit(REQUEST_TIMEOUT, timedOut);
      const text = `Request ${api}(correlationId: ${correlationId}) timed out: no answer within ${limitMs} ms`;
      const error = new KafkaJSRequestTimeoutError(new KafkaError('REQUEST_TIMED_OUT', text));
      abandon(Object.assign(error, timedOut));
    });
    const dropSignal = onAbort(signal, () => abandon(signal?.reason));
    try {
      channel.send(api, request, { signal: abandoned.signal }).then(resolve, reject);
      const response = await promise;
      if (instrumentation.hears(REQUEST)) {
        instrumentation.emit(REQUEST, { ...payload(), duration: runtime.clock.wallMs() - sentAt });
      }
      return response;
    } catch (error) {
      throw toKafkaJSError(error);
    } finally {
      this.#inFlight.delete(abandon);
      dropDeadline();
      dropSignal();
    }
  }
}
