import { type CSSResult, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Admin } from '../index.js';
import { bytesText, countText } from './figures.js';
import { Refreshing } from './refreshing.js';
import { styles } from './styles.js';

interface TopicRow {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly bytes: number;
}

/**
 * The topics with their partitions, records and bytes. Dispatches `topic-selected` (detail: `{ topic }`).
 * @customElement tabstream-topics
 */
export class TopicListElement extends LitElement {
  static override properties: PropertyDeclarations = { admin: { attribute: false }, internal: { type: Boolean } };
  static override styles: CSSResult = styles;
  declare admin: Admin;
  /** Show Kafka's own topics too. */
  declare internal: boolean;
  readonly #topics = new Refreshing(this, () => loadTopics(this.admin), 1000);

  constructor() {
    super();
    this.internal = false;
  }

  override render(): TemplateResult {
    const topics = this.#topics.state;
    switch (topics.status) {
      case 'loading':
        return html`<p role="status">Reading topics…</p>`;
      case 'failed':
        return html`<p role="alert">${topics.error.message}</p>`;
      case 'ready':
        return this.#table(topics.value.filter(({ topic }) => this.internal || !topic.startsWith('__')));
    }
  }

  #table(rows: readonly TopicRow[]): TemplateResult {
    if (rows.length === 0) return html`<p role="status">No topics yet: they appear with the first record.</p>`;
    return html`
      <div class="scroll" part="topics">
        <table>
          <thead>
            <tr><th>Topic</th><th class="number">Partitions</th><th class="number">Records</th><th class="number">Size</th></tr>
          </thead>
          <tbody>${rows.map((row) => this.#row(row))}</tbody>
        </table>
      </div>`;
  }

  #row({ topic, partitions, records, bytes }: TopicRow): TemplateResult {
    return html`
      <tr>
        <td><button class="link mono" @click=${() => this.#select(topic)}>${topic}</button></td>
        <td class="number">${partitions}</td>
        <td class="number">${countText(records)}</td>
        <td class="number">${bytesText(bytes)}</td>
      </tr>`;
  }

  #select(topic: string): void {
    this.dispatchEvent(new CustomEvent('topic-selected', { detail: { topic } }));
  }
}

async function loadTopics(admin: Admin): Promise<TopicRow[]> {
  const logs = await admin.describeLogs();
  return logs
    .map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.length,
      records: sum(
        partitions.map(({ highWatermark, logStartOffset }) => Number(highWatermark) - Number(logStartOffset)),
      ),
      bytes: sum(partitions.map(({ sizeInBytes }) => sizeInBytes)),
    }))
    .sort((a, b) => a.topic.localeCompare(b.topic));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
