import { type CSSResult, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Kafka, StorageState } from '../index.js';
import { visibleText } from './decode.js';
import { bytesText } from './figures.js';
import { styles } from './styles.js';

/**
 * How the storage of this tab is, what that means and what to do; nothing while all is well.
 * @customElement tabstream-storage
 */
export class StorageLineElement extends LitElement {
  static override properties: PropertyDeclarations = { kafka: { attribute: false }, state: { state: true } };
  static override styles: CSSResult = styles;
  declare kafka: Kafka | undefined;
  declare state: StorageState | undefined;
  #watched: Kafka | undefined;
  #watching: AbortController | undefined;

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate(); // put back into the page
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop();
  }

  override willUpdate(): void {
    if (this.kafka === this.#watched || this.kafka === undefined || !this.isConnected) return;
    this.#stop();
    this.#watched = this.kafka;
    this.#watching = new AbortController();
    void this.#watch(this.kafka, this.#watching.signal);
  }

  override render(): TemplateResult | typeof nothing {
    const { state } = this;
    if (state === undefined || state.status === 'ready' || state.status === 'opening') return nothing;
    const { what, advice } = explained(state);
    return html`<p role="alert" part="storage"><strong>Storage ${state.status}:</strong> ${visibleText(what)} ${advice}</p>`;
  }

  #stop(): void {
    this.#watching?.abort();
    this.#watching = undefined;
    this.#watched = undefined;
    this.state = undefined;
  }

  async #watch(kafka: Kafka, signal: AbortSignal): Promise<void> {
    try {
      for await (const state of kafka.storage.changes({ signal })) if (!signal.aborted) this.state = state;
    } catch {
      // The views below say why the cluster cannot be reached.
    }
  }
}

function explained(state: Exclude<StorageState, { status: 'ready' | 'opening' }>): { what: string; advice: string } {
  switch (state.status) {
    case 'full': {
      const { usage, quota } = state;
      const figures = usage === undefined || quota === undefined ? '' : ` (${bytesText(usage)} of ${bytesText(quota)})`;
      return {
        what: `a write was refused for want of space${figures}.`,
        advice: 'Delete topics or records, or shorten their retention: writing goes on by itself.',
      };
    }
    case 'reopening':
      return { what: `${state.reason}.`, advice: 'Requests wait until the database is open again.' };
    case 'wedged':
      return { what: `${state.reason}.`, advice: 'It is opened anew. If this lasts, close other tabs of this site.' };
    case 'reset':
      return {
        what: 'the data of this site was cleared, and with it all topics.',
        advice: 'The cluster begins anew with what is written next.',
      };
    case 'degraded-memory':
      return {
        what: `${state.reason}.`,
        advice: 'This tab runs over memory: other tabs do not see its data, and nothing outlives it.',
      };
    case 'read-only':
      return {
        what: `${state.reason}.`,
        advice: state.readable ? 'Reload the page to write.' : 'Reload the page to read and to write.',
      };
  }
}
