import type { ReactiveController, ReactiveControllerHost } from 'lit';
import type { Admin, Kafka } from '../index.js';
import { browserRuntime } from '../runtime/browser-runtime.js';

export type Loaded<T> =
  | { readonly status: 'loading'; readonly value?: undefined }
  /** With what the last load that went well has brought. */
  | { readonly status: 'failed'; readonly error: Error; readonly value: T | undefined }
  | { readonly status: 'ready'; readonly value: T };

/** The element whose view is loaded. */
export interface RefreshingHost extends ReactiveControllerHost {
  readonly kafka: Kafka | undefined;
}

/**
 * Loads, shows, and loads again after a pause, for as long as its element is in the page and the page is visible.
 * It ends when the element is removed: the load under way is the last, and the admin client of it is disconnected.
 */
export class Refreshing<T> implements ReactiveController {
  state: Loaded<T> = { status: 'loading' };
  readonly #host: RefreshingHost;
  readonly #load: (admin: Admin) => Promise<T>;
  readonly #pauseMs: number;
  #running: AbortController | undefined;
  #kafka: Kafka | undefined;

  constructor(host: RefreshingHost, load: (admin: Admin) => Promise<T>, pauseMs: number) {
    this.#host = host;
    this.#load = load;
    this.#pauseMs = pauseMs;
    host.addController(this);
  }

  hostConnected(): void {
    if (this.#host.kafka !== undefined) this.restart();
  }

  hostUpdate(): void {
    if (this.#host.kafka !== this.#kafka) this.restart();
  }

  hostDisconnected(): void {
    this.#running?.abort();
    this.#running = undefined;
  }

  /** Loads at once: what is asked for has changed. */
  restart(): void {
    this.#running?.abort();
    this.#running = new AbortController();
    this.#kafka = this.#host.kafka;
    this.state = { status: 'loading' };
    if (this.#kafka !== undefined) void this.#run(this.#kafka.admin(), this.#running.signal);
  }

  async #run(admin: Admin, signal: AbortSignal): Promise<void> {
    const { clock } = browserRuntime();
    while (!signal.aborted) {
      if (document.visibilityState === 'visible') {
        const state = await this.#loadOnce(admin);
        if (signal.aborted) break;
        this.state = state;
        this.#host.requestUpdate();
      }
      await clock.sleep(this.#pauseMs, signal).catch(() => {});
    }
    await admin.disconnect();
  }

  async #loadOnce(admin: Admin): Promise<Loaded<T>> {
    try {
      return { status: 'ready', value: await this.#load(admin) };
    } catch (error) {
      const { value } = this.state;
      return { status: 'failed', error: error instanceof Error ? error : new Error(String(error)), value };
    }
  }
}
