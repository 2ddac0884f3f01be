import { type CSSResult, css, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { type Admin, Kafka } from '../index.js';
import { styles } from './styles.js';

type View =
  | { readonly show: 'topics'; readonly left?: string }
  | { readonly show: 'records'; readonly topic: string }
  | { readonly show: 'groups' }
  | { readonly show: 'hosts' }
  | { readonly show: 'check' };

const TABS = [
  { show: 'topics', title: 'Topics' },
  { show: 'groups', title: 'Groups' },
  { show: 'hosts', title: 'Tabs' },
  { show: 'check', title: 'Check' },
] as const;

/**
 * Shows a cluster of this origin: topics and their records, groups and their lag, tabs and their leader; checks its logs.
 * Give it a `kafka` (property), or the name of a `cluster` (attribute, default `default`) to open by itself.
 * @customElement stream-inspector
 */
export class StreamInspectorElement extends LitElement {
  static override properties: PropertyDeclarations = {
    kafka: { attribute: false },
    cluster: {},
    view: { state: true },
    internal: { state: true },
  };
  static override styles: CSSResult[] = [
    styles,
    css`
      :host { border: 1px solid var(--line); border-radius: 10px; overflow: hidden; }
      .head { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 10px; background: var(--raised); border-block-end: 1px solid var(--line); }
      nav { display: flex; flex-wrap: wrap; gap: 4px 8px; align-items: baseline; padding: 8px 10px; border-block-end: 1px solid var(--line); }
      h2, h3 { font-size: 15px; margin: 0 8px 0 0; }
      h3 { font-weight: 600; }
      label { margin-inline-start: auto; display: inline-flex; gap: 6px; align-items: center; color: var(--quiet); }
      input { min-block-size: 0; }
    `,
  ];
  declare kafka: Kafka | undefined;
  declare cluster: string;
  declare view: View;
  declare internal: boolean;
  #own: Kafka | undefined;
  /** Holds the connection while one view follows another. */
  #connected: Admin | undefined;

  constructor() {
    super();
    this.cluster = 'default';
    this.view = { show: 'topics' };
    this.internal = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.lang ||= 'en'; // who reads it out in a page of another language must know
    this.requestUpdate(); // put back into the page: what it had is closed
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#leave();
  }

  override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (this.hasUpdated && (changed.has('kafka') || changed.has('cluster'))) this.#leave();
  }

  /** The list with the button that was pressed is gone: reading goes on with what it opened. */
  override updated(changed: Map<PropertyKey, unknown>): void {
    if (changed.has('view') && this.view.show === 'records') this.renderRoot.querySelector('h3')?.focus();
  }

  override render(): TemplateResult {
    const kafka = this.#client();
    return html`
      <div class="head">
        <h2>Stream inspector</h2>
        <div role="group" aria-label="Views">
          ${TABS.map(
            ({ show, title }) =>
              html`<button aria-current=${this.#within(show)} @click=${() => this.#show({ show })}>${title}</button> `,
          )}
        </div>
        ${
          this.view.show === 'topics'
            ? html`<label><input type="checkbox" .checked=${this.internal} @change=${this.#toggleInternal} /> internal topics</label>`
            : nothing
        }
      </div>
      <tabstream-storage .kafka=${kafka}></tabstream-storage>
      ${this.#content(kafka)}`;
  }

  #content(kafka: Kafka): TemplateResult {
    const view = this.view;
    switch (view.show) {
      case 'topics':
        return html`<tabstream-topics .kafka=${kafka} .internal=${this.internal} .left=${view.left} @topic-selected=${this.#openTopic}></tabstream-topics>`;
      case 'records':
        return html`
          <nav aria-label="Topic">
            <button class="link" @click=${() => this.#show({ show: 'topics', left: view.topic })}>All topics</button>
            <span class="quiet" aria-hidden="true">/</span>
            <h3 class="mono name" tabindex="-1">${view.topic}</h3>
          </nav>
          <tabstream-records .kafka=${kafka} .topic=${view.topic}></tabstream-records>`;
      case 'groups':
        return html`<tabstream-groups .kafka=${kafka}></tabstream-groups>`;
      case 'hosts':
        return html`<tabstream-hosts .kafka=${kafka}></tabstream-hosts>`;
      case 'check':
        return html`<tabstream-check .kafka=${kafka}></tabstream-check>`;
    }
  }

  #client(): Kafka {
    if (this.kafka === undefined) this.#own ??= new Kafka({ clientId: 'stream-inspector', cluster: this.cluster });
    const kafka = this.kafka ?? (this.#own as Kafka);
    if (this.#connected === undefined) {
      this.#connected = kafka.admin();
      this.#connected.connect().catch(() => {}); // each view says so itself
    }
    return kafka;
  }

  #leave(): void {
    const [connected, own] = [this.#connected, this.#own];
    this.#connected = undefined;
    this.#own = undefined;
    void connected?.disconnect();
    void own?.close();
  }

  /** The records of a topic belong to the topics. */
  #within(show: View['show']): boolean {
    return this.view.show === show || (show === 'topics' && this.view.show === 'records');
  }

  #show(view: View): void {
    this.view = view;
  }

  #toggleInternal(changed: Event): void {
    this.internal = (changed.target as HTMLInputElement).checked;
  }

  #openTopic({ detail }: CustomEvent<{ topic: string }>): void {
    this.#show({ show: 'records', topic: detail.topic });
  }
}
