import { type Endpoint, expose } from 'comlink';
import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import { KafkaError } from '../protocol/errors.js';
import type { RequestChannel } from '../protocol/request-channel.js';
import { AssertionError, assert, present } from '../util/assert.js';
import {
  type CancelMessage,
  errorReply,
  type HostApi,
  type HostStart,
  type HostStarted,
  type Introducer,
  LINK_VERSION,
  type ReplyMessage,
  type RequestMessage,
} from './host-api.js';
import { responseBuffers } from './record-buffers.js';

/** A host that runs, as its worker's page sees it. */
export interface ServedHost extends Omit<HostStarted, 'version'> {
  readonly requests: RequestChannel;
  visibility(visible: boolean): void;
  keyRings?(rings: readonly EncryptionKeys[]): void;
  /** Leaves the cluster in order. */
  close(): Promise<void>;
}

/**
 * The worker's side of a `WorkerLink`: starts the host when the page says so and passes its requests on. To be called
 * before the first `await` of the worker, or the page's first call is missed.
 *
 * `startHost` resolves as soon as the host can take requests (they may wait inside), long before an election is over,
 * and holds its lock by then. It may refuse with a `KafkaError`.
 *
 * A bug ends the worker: what is thrown and not caught, an `AssertionError` that nobody handles, and any error of
 * `startHost` and of a request that is no `KafkaError`.
 */
export function serveRequests(
  endpoint: Endpoint,
  startHost: (options: HostStart, introducer: Introducer) => Promise<ServedHost>,
): void {
  const calls = new Map<number, AbortController>();
  let host: ServedHost | undefined;

  const api: HostApi = {
    start: async (options, introducer) => {
      assert(host === undefined, 'a worker is started once');
      try {
        const { version = LINK_VERSION } = options;
        if (version === LINK_VERSION) host = await startHost(options, introducer);
        return { ok: { version: LINK_VERSION, hostId: host?.hostId ?? '', lockName: host?.lockName ?? '' } };
      } catch (error) {
        return failed(error);
      }
    },
    visibility: (visible) => host?.visibility(visible),
    keyRings: async (rings) => host?.keyRings?.(rings),
    close: async () => host?.close(),
  };
  const reply = (answered: number, reply: ReplyMessage['reply'], buffers: ArrayBuffer[] = []): void =>
    endpoint.postMessage({ answered, reply } satisfies ReplyMessage, buffers);
  const serve = async ({ call, api, request }: RequestMessage): Promise<void> => {
    const controller = new AbortController();
    const { signal } = controller;
    calls.set(call, controller);
    try {
      const { requests } = present(host, 'requests come after the start');
      const response = await requests.send(api, request, { signal });
      reply(call, { ok: response }, responseBuffers(api, response));
    } catch (error) {
      reply(call, signal.aborted ? errorReply(signal.reason) : failed(error));
    } finally {
      calls.delete(call);
    }
  };
  const cancel = (call: number): void =>
    calls.get(call)?.abort(new KafkaError('REQUEST_TIMED_OUT', 'the client waits no longer'));
  endpoint.addEventListener('message', (event) => {
    const { data } = event as MessageEvent<Partial<RequestMessage & CancelMessage> | null>;
    if (data?.call !== undefined) void serve(data as RequestMessage);
    else if (data?.cancelled !== undefined) cancel(data.cancelled);
    else return; // Comlink's, which listens behind us
    event.stopImmediatePropagation();
  });
  expose(api, endpoint);
  globalThis.addEventListener('unhandledrejection', ({ reason }) => {
    if (reason instanceof AssertionError) reportError(reason); // the worker's last line
  });
}

/** Answers with the failure; a bug is also reported to the page, which then ends this worker. */
function failed(error: unknown): ReturnType<typeof errorReply> {
  if (!(error instanceof KafkaError)) reportError(error);
  return errorReply(error);
}
