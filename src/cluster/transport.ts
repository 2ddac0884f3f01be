import { KafkaError, type KafkaErrorName, knownErrorName } from '../protocol/errors.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import type { StorageFigures } from '../protocol/storage-state.js';
import type { Channel, LinesEnd, Runtime } from '../runtime/runtime.js';
import { AssertionError, unreachable } from '../util/assert.js';
import { deferred, linkedController, onAbort } from '../util/signal.js';
import { CLUSTER_PROTOCOL_VERSION, inboxName } from './host-messages.js';
import { withChecksums } from './with-checksums.js';

/** How long an answer may take beyond what the request itself asks for. */
export const CALL_TIMEOUT_MS: number = 30_000;
/** When a caller first asks what became of its request; doubles up to MAX_ASK_MS. */
const ASK_MS = 1_000;
const MAX_ASK_MS = 4_000;
/** Answers that are remembered for each caller; older requests that come again are refused as too old. */
const MAX_ANSWERS = 256;
/** Callers whose answers are remembered. */
const MAX_CALLERS = 256;
/** Requests in flight from one host. */
const MAX_CALLS = 4096;
/** Ends of other hosts' channels that are kept open for sending. */
const MAX_LINES = 64;

/** An answer, with how far the leader's metadata log reached when it was given. */
export interface Answer<A extends ApiName = ApiName> {
  readonly response: Responses[A];
  readonly metadataEndOffset: number;
}

interface Failure {
  readonly type: KafkaErrorName;
  readonly text: string;
  readonly storage?: StorageFigures | undefined;
}

type Question =
  | { readonly type: 'request'; readonly api: ApiName; readonly request: unknown; readonly timeoutMs: number }
  /** The caller's signal aborted: nobody waits for the answer. */
  | { readonly type: 'cancel' }
  /** What became of it? Answered with the answer, or `working`, or `unknown`. */
  | { readonly type: 'ask' };

type Reply =
  | { readonly type: 'working' }
  | { readonly type: 'unknown' }
  | { readonly type: 'answer'; readonly answer: Answer }
  | { readonly type: 'failure'; readonly failure: Failure };

type Message = Question | Reply;

export interface Envelope {
  readonly version: number;
  readonly from: string;
  /** Of the request, counted by its caller from 1 on. */
  readonly id: number;
  readonly message: Message;
}

export type AnswerRequest = (api: ApiName, request: unknown, signal: AbortSignal) => Promise<Answer>;

export interface TransportOptions {
  readonly clusterName: string;
  readonly hostId: string;
  readonly runtime: Runtime;
  /** Carries out what another host asks for. A NOT_CONTROLLER failure promises that nothing was done. */
  readonly answer: AnswerRequest;
}

interface Call {
  readonly to: string;
  readonly api: ApiName;
  readonly request: unknown;
  readonly timeoutMs: number;
  resolve(answer: Answer): void;
  reject(error: KafkaError): void;
}

interface Caller {
  /** Requests at or below this were forgotten: they are never carried out again. */
  forgottenId: number;
  readonly working: Map<number, AbortController>;
  readonly answers: Map<number, Reply>;
}

/**
 * Requests from host to host. Each is carried out at most once, however often its messages are lost or doubled: the
 * caller does not send again what may have arrived, it asks; the other side remembers what it answered.
 *
 * They go over a direct line where there is one, else over the other host's channel, and answers come back the same
 * way. A line may be broken and nobody knows: what asks what became of a request always goes over the channel.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #direct: LinesEnd | undefined;
  readonly #lines = new Map<string, Channel>();
  readonly #calls = new Map<number, Call>();
  readonly #callers = new Map<string, Caller>();
  readonly #closing = new AbortController();
  #lastId = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    const { runtime, hostId } = options;
    this.#direct = runtime.lines?.open(hostId, (data, reply) => this.receive(data, reply));
  }

  /**
   * Asks host `to`. Missing checksums of records are written before.
   * @throws KafkaError NETWORK_EXCEPTION: it died or was deposed, outcome unknown. REQUEST_TIMED_OUT: outcome unknown.
   *   NOT_CONTROLLER: it does not lead, nothing was done. UNSUPPORTED_VERSION: it runs another version of us.
   */
  async call<A extends ApiName>(to: string, api: A, asked: Requests[A], signal?: AbortSignal): Promise<Answer<A>> {
    if (this.#closing.signal.aborted) throw closed();
    if (this.#calls.size >= MAX_CALLS) throw new KafkaError('REQUEST_TIMED_OUT', `${MAX_CALLS} requests are in flight`);
    signal?.throwIfAborted();
    const request = withChecksums(api, asked);
    const id = ++this.#lastId;
    const timeoutMs = CALL_TIMEOUT_MS + ownTimeMs(request);
    const answered = deferred<Answer>();
    const { resolve, reject } = answered;
    this.#calls.set(id, { to, api, request, timeoutMs, resolve, reject });
    this.#send(to, id, { type: 'request', api, request, timeoutMs });
    const done = linkedController(this.#closing.signal);
    void this.#watch(id, done.signal);
    const drop = onAbort(signal, () => {
      this.#send(to, id, { type: 'cancel' });
      reject(signal?.reason);
    });
    try {
      return (await answered.promise) as Answer<A>; // to this very request
    } finally {
      drop();
      this.#calls.delete(id);
      done.abort('answered'); // the default reason costs a stack trace
    }
  }

  /** `hostId` died or leads no more: what it has not answered it never will. */
  fail(hostId: string, error: KafkaError): void {
    for (const call of [...this.#calls.values()]) if (call.to === hostId) call.reject(error);
  }

  /** `leader` leads now: what others have not answered they may never. */
  failAllBut(leader: string, error: KafkaError): void {
    for (const call of [...this.#calls.values()]) if (call.to !== leader) call.reject(error);
  }

  /** `hostId` is gone for good: forgets also what it asked for. */
  forget(hostId: string): void {
    this.#direct?.drop(hostId);
    this.#lines.get(hostId)?.close();
    this.#lines.delete(hostId);
    const caller = this.#callers.get(hostId);
    this.#callers.delete(hostId);
    for (const work of caller?.working.values() ?? [])
      work.abort(new KafkaError('NETWORK_EXCEPTION', 'caller is gone'));
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(closed());
    for (const call of [...this.#calls.values()]) call.reject(closed());
    for (const { working } of this.#callers.values()) for (const work of working.values()) work.abort(closed());
    this.#callers.clear();
    this.#direct?.close();
    for (const line of this.#lines.values()) line.close();
    this.#lines.clear();
  }

  /** Asks again and again what became of a request, and gives up in the end. */
  async #watch(id: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options.runtime;
    const call = this.#calls.get(id);
    if (call === undefined) return;
    let waitedMs = 0;
    try {
      for (
        let askMs = ASK_MS + ((call.request as OwnTime).waitMs ?? 0);
        waitedMs < call.timeoutMs;
        askMs = Math.min(askMs * 2, MAX_ASK_MS)
      ) {
        const stepMs = Math.min(askMs, call.timeoutMs - waitedMs);
        await clock.sleep(stepMs, signal);
        waitedMs += stepMs;
        this.#sendSurely(call.to, id, { type: 'ask' });
      }
    } catch {
      return; // answered, or closing
    }
    const text = `${call.api}: host ${call.to} gave no answer within ${call.timeoutMs} ms; the outcome is unknown`;
    call.reject(new KafkaError('REQUEST_TIMED_OUT', text));
  }

  /**
   * Takes what came for this host. `reply` leads back over the line on which it came; undefined: it came over our channel
   * (`inboxName`).
   */
  receive(data: unknown, reply?: (envelope: Envelope) => void): void {
    const envelope = parseEnvelope(data);
    if (envelope === undefined || this.#closing.signal.aborted) return;
    const { version, from, id, message } = envelope;
    const answer = (answered: Reply): void => this.#answer(from, id, answered, reply);
    if (version !== CLUSTER_PROTOCOL_VERSION) this.#refuseVersion(envelope, answer);
    else if (message.type === 'request') this.#requested(from, id, message, answer);
    else if (message.type === 'ask') this.#asked(from, id, answer);
    else if (message.type === 'cancel') this.#cancelled(from, id);
    else this.#replied(from, id, message);
  }

  #replied(from: string, id: number, message: Reply): void {
    const call = this.#callTo(from, id);
    if (call === undefined) return; // not waited for any more
    switch (message.type) {
      case 'working':
        break;
      case 'unknown':
        this.#direct?.drop(from); // it lost the request
        this.#sendSurely(from, id, {
          type: 'request',
          api: call.api,
          request: call.request,
          timeoutMs: call.timeoutMs,
        });
        break;
      case 'answer':
        call.resolve(message.answer);
        break;
      case 'failure':
        call.reject(errorOf(message.failure));
        break;
      default:
        unreachable(message);
    }
  }

  /** A lone reader of an unknown version can still be told so; an answer of another version ends the call. */
  #refuseVersion({ version, from, id, message }: Envelope, answer: (reply: Reply) => void): void {
    const text = `host ${from} speaks version ${version} between tabs, this one ${CLUSTER_PROTOCOL_VERSION}: reload the older tab`;
    const failure: Failure = { type: 'UNSUPPORTED_VERSION', text };
    if (message.type === 'request') answer({ type: 'failure', failure });
    else this.#callTo(from, id)?.reject(errorOf(failure));
  }

  #callTo(host: string, id: number): Call | undefined {
    const call = this.#calls.get(id);
    return call?.to === host ? call : undefined;
  }

  #requested(
    from: string,
    id: number,
    message: Extract<Message, { type: 'request' }>,
    answer: (reply: Reply) => void,
  ): void {
    const caller = this.#caller(from);
    if (caller.answers.has(id) || caller.working.has(id) || id <= caller.forgottenId) {
      this.#asked(from, id, answer); // doubled: never carried out twice
      return;
    }
    const work = new AbortController();
    caller.working.set(id, work);
    void this.#carryOut(from, id, message, { work, answer });
  }

  async #carryOut(
    from: string,
    id: number,
    { api, request }: Extract<Message, { type: 'request' }>,
    { work, answer }: { readonly work: AbortController; readonly answer: (reply: Reply) => void },
  ): Promise<void> {
    const caller = this.#caller(from);
    let message: Reply;
    try {
      message = { type: 'answer', answer: await this.#options.answer(api, request, work.signal) };
    } catch (error) {
      message = { type: 'failure', failure: failureOf(error) };
    }
    caller.working.delete(id);
    caller.answers.set(id, message);
    if (caller.answers.size > MAX_ANSWERS) {
      const oldest = caller.answers.keys().next().value!;
      caller.answers.delete(oldest);
      caller.forgottenId = Math.max(caller.forgottenId, oldest);
    }
    if (!work.signal.aborted) answer(message);
  }

  #asked(from: string, id: number, answer: (reply: Reply) => void): void {
    const caller = this.#callers.get(from);
    const answered = caller?.answers.get(id);
    if (answered !== undefined) answer(answered);
    else if (caller?.working.has(id)) answer({ type: 'working' });
    else if (caller !== undefined && id <= caller.forgottenId) answer({ type: 'failure', failure: FORGOTTEN });
    else answer({ type: 'unknown' });
  }

  #cancelled(from: string, id: number): void {
    this.#callers.get(from)?.working.get(id)?.abort(new KafkaError('REQUEST_TIMED_OUT', 'the caller waits no longer'));
  }

  #caller(hostId: string): Caller {
    const known = this.#callers.get(hostId);
    if (known !== undefined) return known;
    if (this.#callers.size >= MAX_CALLERS) this.forget(this.#callers.keys().next().value!);
    const caller: Caller = { forgottenId: 0, working: new Map(), answers: new Map() };
    this.#callers.set(hostId, caller);
    return caller;
  }

  #answer(to: string, id: number, message: Reply, reply: ((envelope: Envelope) => void) | undefined): void {
    if (reply === undefined) {
      this.#direct?.join(); // so that the next request may come over a line
      this.#sendSurely(to, id, message);
    } else if (!this.#closing.signal.aborted) reply(this.#envelope(id, message));
  }

  #send(to: string, id: number, message: Question): void {
    if (this.#closing.signal.aborted || this.#direct?.post(to, this.#envelope(id, message))) return;
    this.#sendSurely(to, id, message);
  }

  #sendSurely(to: string, id: number, message: Message): void {
    if (!this.#closing.signal.aborted) this.#line(to).post(this.#envelope(id, message));
  }

  #envelope(id: number, message: Message): Envelope {
    return { version: CLUSTER_PROTOCOL_VERSION, from: this.#options.hostId, id, message };
  }

  #line(to: string): Channel {
    const { runtime, clusterName } = this.#options;
    const known = this.#lines.get(to);
    if (known !== undefined) return known;
    if (this.#lines.size >= MAX_LINES) {
      const [oldest, line] = this.#lines.entries().next().value!;
      line.close();
      this.#lines.delete(oldest);
    }
    const line = runtime.channels.open(inboxName(clusterName, to), () => {});
    this.#lines.set(to, line);
    return line;
  }
}

const FORGOTTEN: Failure = {
  type: 'REQUEST_TIMED_OUT',
  text: 'too late to tell what became of it: the outcome is unknown',
};

/** What a request may rightly take: a rebalance, or the time that it names. */
function ownTimeMs(request: object): number {
  const { rebalanceTimeoutMs, timeoutMs, waitMs } = request as OwnTime;
  return Math.max(0, rebalanceTimeoutMs ?? timeoutMs ?? waitMs ?? 0);
}

interface OwnTime {
  readonly rebalanceTimeoutMs?: number;
  readonly timeoutMs?: number;
  /** So long nobody expects an answer. */
  readonly waitMs?: number;
}

function parseEnvelope(data: unknown): Envelope | undefined {
  if (typeof data !== 'object' || data === null) return undefined;
  const { version, from, id, message } = data as Partial<Envelope>;
  if (typeof version !== 'number' || typeof from !== 'string' || typeof id !== 'number') return undefined;
  if (typeof message !== 'object' || message === null) return undefined;
  return data as Envelope; // ours, if the version is; the caller looks
}

function failureOf(error: unknown): Failure {
  if (error instanceof KafkaError) return { type: error.type, text: error.message, storage: error.storage };
  if (error instanceof AssertionError)
    return { type: 'UNKNOWN_SERVER_ERROR', text: `broken invariant: ${error.message}` };
  return { type: 'UNKNOWN_SERVER_ERROR', text: String(error) };
}

function errorOf({ type, text, storage }: Failure): KafkaError {
  return new KafkaError(knownErrorName(type), text, { storage });
}

function closed(): KafkaError {
  return new KafkaError('NETWORK_EXCEPTION', 'this host is closed; the outcome is unknown');
}
