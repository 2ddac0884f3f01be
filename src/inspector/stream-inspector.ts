import { type CSSResult, css, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { type Admin, Kafka } from '../index.js';
import { styles } from './styles.js';

type View =
  | { readonly show: 'topics' }
  | { readonly show: 'records'; readonly topic: string; readonly partitions: number }
  | { readonly show: 'groups' }
  | { readonly show: 'hosts' };

const TABS = [
  { show: 'topics', title: 'Topics' },
  { show: 'groups', title: 'Groups' },
  { show: 'hosts', title: 'Tabs' },
] as const;

/**
 * Shows a cluster of this origin: topics and their records, groups and their lag, tabs and their leader.
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
      header { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 10px; background: var(--raised); border-block-end: 1px solid var(--line); }
      h2 { font-size: 15px; margin: 0 8px 0 0; }
      label { margin-inline-start: auto; display: inline-flex; gap: 6px; align-items: center; color: var(--quiet); }
      input { min-block-size: 0; }
    `,
  ];
  declare kafka: Kafka | undefined;
  declare cluster: string;
  declare view: View;
  declare internal: boolean;
  #own: Kafka | undefined;
  #admin: Admin | undefined;

  constructor() {
    super();
    this.cluster = 'default';
    this.view = { show: 'topics' };
    this.internal = false;
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.requestUpdate(); // put back into the page: the admin client of before is closed
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    const [admin, own] = [this.#admin, this.#own];
    this.#admin = undefined;
    this.#own = undefined;
    void admin?.disconnect().finally(() => void own?.close());
  }

  override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (!changed.has('kafka') && !changed.has('cluster')) return;
    void this.#admin?.disconnect();
    this.#admin = undefined;
  }

  override render(): TemplateResult {
    const kafka = this.#client();
    this.#admin ??= kafka.admin();
    return html`
      <header>
        <h2>${this.view.show === 'records' ? html`Topic <code>${this.view.topic}</code>` : 'Stream inspector'}</h2>
        <div role="group" aria-label="Views">
          ${TABS.map(
            ({ show, title }) =>
              html`<button aria-pressed=${this.view.show === show} @click=${() => this.#show({ show })}>${title}</button> `,
          )}
        </div>
        ${
          this.view.show === 'topics'
            ? html`<label><input type="checkbox" .checked=${this.internal} @change=${this.#toggleInternal} /> internal topics</label>`
            : nothing
        }
      </header>
      ${this.#content(kafka, this.#admin)}`;
  }

  #content(kafka: Kafka, admin: Admin): TemplateResult {
    const view = this.view;
    switch (view.show) {
      case 'topics':
        return html`<tabstream-topics .admin=${admin} .internal=${this.internal} @topic-selected=${this.#openTopic}></tabstream-topics>`;
      case 'records':
        return html`<tabstream-records .kafka=${kafka} .admin=${admin} .topic=${view.topic} .partitions=${view.partitions}></tabstream-records>`;
      case 'groups':
        return html`<tabstream-groups .admin=${admin}></tabstream-groups>`;
      case 'hosts':
        return html`<tabstream-hosts .admin=${admin}></tabstream-hosts>`;
    }
  }

  #client(): Kafka {
    if (this.kafka !== undefined) return this.kafka;
    this.#own ??= new Kafka({ clientId: 'stream-inspector', cluster: this.cluster });
    return this.#own;
  }

  #show(view: View): void {
    this.view = view;
  }

  #toggleInternal(changed: Event): void {
    this.internal = (changed.target as HTMLInputElement).checked;
  }

  async #openTopic({ detail }: CustomEvent<{ topic: string }>): Promise<void> {
    const { topics } = (await this.#admin?.fetchTopicMetadata({ topics: [detail.topic] })) ?? { topics: [] };
    this.#show({ show: 'records', topic: detail.topic, partitions: topics[0]?.partitions.length ?? 1 });
  }
}
