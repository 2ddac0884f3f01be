import type { ReactiveController, ReactiveControllerHost } from 'lit';
import { browserRuntime } from '../runtime/browser-runtime.js';

export type Loaded<T> =
  | { readonly status: 'loading' }
  | { readonly status: 'failed'; readonly error: Error }
  | { readonly status: 'ready'; readonly value: T };

/**
 * Loads, shows, and loads again after a pause, for as long as its element is in the page and the page is visible.
 * Stops, and aborts the load under way, when the element is removed.
 */
export class Refreshing<T> implements ReactiveController {
  state: Loaded<T> = { status: 'loading' };
  readonly #host: ReactiveControllerHost;
  readonly #load: (signal: AbortSignal) => Promise<T>;
  readonly #pauseMs: number;
  #running: AbortController | undefined;

  constructor(host: ReactiveControllerHost, load: (signal: AbortSignal) => Promise<T>, pauseMs: number) {
    this.#host = host;
    this.#load = load;
    this.#pauseMs = pauseMs;
    host.addController(this);
  }

  hostConnected(): void {
    this.restart();
  }

  hostDisconnected(): void {
    this.#running?.abort();
    this.#running = undefined;
  }

  /** Loads at once: what is asked for has changed. */
  restart(): void {
    this.#running?.abort();
    this.#running = new AbortController();
    void this.#run(this.#running.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock } = browserRuntime();
    while (!signal.aborted) {
      if (document.visibilityState === 'visible') {
        const state = await this.#loadOnce(signal);
        if (signal.aborted) return;
        this.state = state;
        this.#host.requestUpdate();
      }
      await clock.sleep(this.#pauseMs, signal).catch(() => {});
    }
  }

  async #loadOnce(signal: AbortSignal): Promise<Loaded<T>> {
    try {
      return { status: 'ready', value: await this.#load(signal) };
    } catch (error) {
      return { status: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
    }
  }
}
