import { proxy, transfer, wrap } from 'comlink';
import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import { KafkaError, type KafkaErrorName } from '../protocol/errors.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import { abortable, linkedController, onAbort } from '../util/signal.js';
import {
  type CancelMessage,
  type HostApi,
  type HostStart,
  type HostStarted,
  type Reply,
  type ReplyMessage,
  type RequestMessage,
  replied,
} from './host-api.js';
import { onPeerGone } from './peer-gone.js';
import { requestBuffers } from './record-buffers.js';
import type { Runtime } from './runtime.js';

/**
 * A worker that has not answered for so long does not run. Cold starts on busy phones take seconds. It is counted in two
 * halves: a page that slept, or was kept busy, beyond all of it has the second half still to come when it wakes.
 */
const START_TIMEOUT_MS = 20_000;
/** How long the goodbye of a host may take before it is cut short: its lock frees what it held. */
const CLOSE_TIMEOUT_MS = 1_000;
/** Browsers say next to nothing of why a worker does not load. */
const ADVICE =
  "Expected: a module script of this origin, allowed by the page's Content-Security-Policy (worker-src); for bundlers, and for Node, see tabstream's README";

export interface WorkerPeerOptions {
  readonly runtime: Pick<Runtime, 'clock'>;
  /** A new module worker that calls `serveRequests`. */
  readonly newWorker: () => Worker;
  /** Its address where it is known, for the texts of errors: browsers name it nowhere. */
  readonly workerUrl?: string | undefined;
  readonly start: HostStart;
  readonly startTimeoutMs?: number | undefined;
}

/** What ends a call: its answer, or that there will be none. */
interface CallInFlight {
  answer(reply: ReplyMessage['reply']): void;
  fail(error: unknown): void;
}

/**
 * One worker's life, from its start to its end: every call ends with the worker, none hangs. It ends when the page ends
 * it, when it fails or was killed (its lock is free then), and when it cannot be started.
 */
export class WorkerPeer {
  /** @throws KafkaError BROKER_NOT_AVAILABLE: cannot be loaded. REQUEST_TIMED_OUT. What the host refused with. */
  readonly started: Promise<HostStarted>;
  readonly #options: WorkerPeerOptions;
  readonly #worker: Worker | undefined;
  readonly #host: Pick<HostApi, keyof HostApi> | undefined;
  readonly #ended: AbortController = new AbortController();
  readonly #calls: Map<number, CallInFlight> = new Map();
  #callCount = 0;
  #isStarted = false;

  constructor(options: WorkerPeerOptions) {
    this.#options = options;
    this.#worker = this.#newWorker();
    this.#host = this.#worker && hostApi(this.#worker);
    this.started = this.#start();
    this.started.catch(() => {}); // whoever asks hears of it
  }

  /** Aborts, with a `KafkaError`, when the worker is no more. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async send<A extends ApiName>(api: A, request: Requests[A], signal: AbortSignal | undefined): Promise<Responses[A]> {
    if (!this.#isStarted) await abortable(this.started, signal);
    signal?.throwIfAborted();
    this.ended.throwIfAborted();
    return this.#call(api, request, signal);
  }

  visibility(visible: boolean): void {
    if (this.#isStarted) this.#host?.visibility(visible);
    else this.started.then(() => this.#host?.visibility(visible)).catch(() => {}); // nobody to tell
  }

  /** See `HostApi.keyRings`. They are there before the requests that follow. */
  keyRings(rings: readonly EncryptionKeys[]): void {
    this.started.then(() => this.#host?.keyRings(rings)).catch(() => {}); // nobody to tell
  }

  /** Fails what is in flight, lets the host say goodbye, and ends the worker. */
  async close(reason: KafkaError): Promise<void> {
    this.#failCalls(reason);
    if (this.#isStarted && !this.ended.aborted) {
      const patience = linkedController(this.ended);
      const goodbye = Promise.resolve(this.#host?.close());
      const timeout = this.#options.runtime.clock.sleep(CLOSE_TIMEOUT_MS, patience.signal);
      await Promise.race([goodbye, timeout]).catch(() => {}); // it ends now anyway
      patience.abort();
    }
    this.end(reason);
  }

  /** Ends the worker at once: the browser frees its locks. Idempotent. */
  end(reason: KafkaError): void {
    if (this.ended.aborted) return;
    // At first, which ends our wait for its lock, too: a page that is being frozen would be given that, and keep it.
    this.#ended.abort(reason);
    this.#worker?.terminate();
    this.#failCalls(reason);
  }

  #newWorker(): Worker | undefined {
    try {
      const worker = this.#options.newWorker();
      worker.addEventListener('message', (event: MessageEvent<Partial<ReplyMessage> | null>) => this.#received(event));
      worker.addEventListener('error', (event) => this.#workerFailed(event));
      worker.addEventListener('messageerror', () => this.#fail('NETWORK_EXCEPTION', 'sent what cannot be read'));
      return worker;
    } catch (error) {
      this.#fail('BROKER_NOT_AVAILABLE', `cannot be made (${error}). ${ADVICE}`, error);
      return undefined;
    }
  }

  async #start(): Promise<HostStarted> {
    this.ended.throwIfAborted();
    const { runtime, start, startTimeoutMs = START_TIMEOUT_MS } = this.#options;
    const patience = linkedController(this.ended);
    const half = (): Promise<void> => runtime.clock.sleep(startTimeoutMs / 2, patience.signal);
    half()
      .then(half)
      .then(
        () => this.#fail('REQUEST_TIMED_OUT', `did not answer within ${startTimeoutMs} ms. ${ADVICE}`),
        () => {}, // it answered, or ended
      );
    try {
      const introducer = proxy(() => introducerFor(start.clusterName));
      const reply = abortable(this.#host?.start(start, introducer) as Promise<Reply<HostStarted>>, this.ended);
      const started = replied(await reply);
      const { version = 0 } = started;
      if (version !== start.version) {
        const text = `the worker has version ${version}, the page ${start.version}: reload the page`;
        throw new KafkaError('UNSUPPORTED_VERSION', text);
      }
      this.#isStarted = true;
      onPeerGone(started.lockName, this.ended, () => this.#fail('NETWORK_EXCEPTION', 'is gone: its lock is free'));
      return started;
    } catch (error) {
      this.end(error instanceof KafkaError ? error : new KafkaError('BROKER_NOT_AVAILABLE', String(error)));
      throw this.ended.reason;
    } finally {
      patience.abort();
    }
  }

  #call<A extends ApiName>(api: A, request: Requests[A], signal: AbortSignal | undefined): Promise<Responses[A]> {
    const buffers = requestBuffers(api, request);
    const call = ++this.#callCount;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#calls.delete(call);
        drop();
      };
      const fail = (error: unknown): void => {
        end();
        reject(error);
      };
      const answer = (reply: ReplyMessage['reply']): void => {
        end();
        try {
          resolve(replied(reply) as Responses[A]); // the answer to a request of this API
        } catch (error) {
          reject(error);
        }
      };
      const drop = onAbort(signal, () => {
        this.#worker?.postMessage({ cancelled: call } satisfies CancelMessage);
        fail(signal?.reason);
      });
      this.#calls.set(call, { answer, fail });
      try {
        this.#worker?.postMessage({ call, api, request } satisfies RequestMessage, buffers);
      } catch (error) {
        fail(error); // it holds what cannot be sent
      }
    });
  }

  /** Comlink, which listens behind us, has messages of its own. */
  #received(event: MessageEvent<Partial<ReplyMessage> | null>): void {
    const { answered, reply } = event.data ?? {};
    if (answered === undefined || reply === undefined) return;
    event.stopImmediatePropagation();
    this.#calls.get(answered)?.answer(reply);
  }

  #failCalls(reason: KafkaError): void {
    for (const call of this.#calls.values()) call.fail(reason);
  }

  #workerFailed(event: Event): void {
    const { message } = event as ErrorEvent;
    if (this.#isStarted) this.#fail('NETWORK_EXCEPTION', `failed and was ended: ${message}`);
    else this.#fail('BROKER_NOT_AVAILABLE', `cannot be loaded${message ? ` (${message})` : ''}. ${ADVICE}`);
  }

  #fail(type: KafkaErrorName, what: string, cause?: unknown): void {
    const { workerUrl = 'of the host' } = this.#options;
    this.end(new KafkaError(type, `the worker ${workerUrl} ${what}`, { cause }));
  }
}

/** Each property of a Comlink proxy is a new proxy: taken once, not with each call. */
function hostApi(worker: Worker): Pick<HostApi, keyof HostApi> {
  const { start, visibility, keyRings, close } = wrap<HostApi>(worker);
  return {
    start,
    visibility: (visible) => void visibility(visible),
    keyRings,
    close,
  };
}

/** Loaded once there is another tab. */
async function introducerFor(clusterName: string): Promise<MessagePort | undefined> {
  const { introducerPort } = await import('./introducer.js');
  const port = introducerPort(clusterName);
  return port && transfer(port, [port]);
}
