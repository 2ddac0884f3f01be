import type { On } from './api/events.js';
import type { Logger } from './api/logger.js';
import type { ClientContext, ClientShell } from './client-context.js';
import type { SharedChannel } from './connection.js';
import { KafkaJSConnectionError } from './errors.js';
import { type EventNames, Instrumentation } from './instrumentation.js';

/** Logger and events of one client, and how it shows them. */
export function clientShell<const E extends EventNames>(
  { logger: root, runtime }: ClientContext,
  { name, client, events }: { readonly name: string; readonly client: string; readonly events: E },
): ClientShell<E> & { readonly api: { readonly events: E; readonly on: On<E>; logger(): Logger } } {
  const logger = root.namespace(name);
  const instrumentation = new Instrumentation({ events, client, wallMs: () => runtime.clock.wallMs(), logger });
  return { logger, instrumentation, api: { events, on: instrumentation.on, logger: () => logger } };
}

type Tracked = ReturnType<ClientContext['track']>;

/** The body of a client, which is loaded by the first call that needs it. */
export class LazyPart<T> {
  readonly #make: () => Promise<T>;
  readonly #tracked: Tracked | undefined;
  #loading: Promise<T> | undefined;
  #loaded: T | undefined;

  /** `tracked`: so that a `Kafka` that is closed meanwhile ends what was to be loaded. */
  constructor(make: () => Promise<T>, tracked?: Tracked) {
    this.#make = make;
    this.#tracked = tracked;
  }

  /** undefined until it is there. */
  get loaded(): T | undefined {
    return this.#loaded;
  }

  /** undefined where nobody has asked for it. */
  get loading(): Promise<T> | undefined {
    return this.#loading;
  }

  /** @throws KafkaJSConnectionError: it could not be loaded; the next call tries again. */
  load(): Promise<T> {
    if (this.#loading === undefined) {
      this.#tracked?.onOpen();
      this.#loading = this.#make().catch((cause: unknown) => {
        this.#loading = undefined;
        throw new KafkaJSConnectionError(`A part of the client could not be loaded: ${cause}`, { cause });
      });
      // The first to hear of it, so that no later call overtakes those that wait.
      this.#loading
        .then((loaded) => (this.#loaded = loaded))
        .finally(this.#tracked?.onClosed)
        .catch(() => {});
    }
    return this.#loading;
  }
}

type AsyncMethods<T> = { [N in keyof T]: T[N] extends (...args: never) => Promise<unknown> ? N : never }[keyof T];

/** These methods of a client's body, which they load. Calls keep their order. */
export function forwarding<T, const N extends AsyncMethods<T>>(part: LazyPart<T>, names: readonly N[]): Pick<T, N> {
  const forward = (name: N) => {
    const call = (body: T, args: never[]): Promise<unknown> =>
      (body[name] as (...args: never[]) => Promise<unknown>)(...args);
    return async (...args: never[]) => call(part.loaded ?? (await part.load()), args);
  };
  return Object.fromEntries(names.map((name) => [name, forward(name)])) as Pick<T, N>; // each name has its method
}

/**
 * `connect` of a client. Where its code is still to be loaded, the host starts meanwhile; where that fails before the code is
 * there, so does this: the body would start another host, which is for the caller to decide.
 */
export function connecting<T extends { connect(): Promise<void> }>(
  part: LazyPart<T>,
  shared: SharedChannel,
): () => Promise<void> {
  return async () => {
    if (part.loaded !== undefined) return part.loaded.connect();
    const acquired = shared.acquire();
    const loading = part.load();
    try {
      const body = await Promise.race([loading, acquired.then(() => loading)]);
      await body.connect();
    } finally {
      await acquired.then(
        () => shared.release(),
        () => {},
      );
    }
  };
}

/** Ends what there is; what was never loaded needs no end. */
export async function ending<T>(part: LazyPart<T>, end: (body: T) => Promise<void>): Promise<void> {
  const body = part.loaded ?? (await part.loading?.catch(() => undefined));
  if (body !== undefined) await end(body);
}
