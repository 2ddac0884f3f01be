import { type CSSResult, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Kafka, LogDescription } from '../index.js';
import { bytesText, countText, total } from './figures.js';
import { notice } from './notice.js';
import { recordCount } from './partition-list.js';
import { Refreshing } from './refreshing.js';
import { styles } from './styles.js';

/**
 * The topics with their partitions, records and bytes. Dispatches `topic-selected` (detail: `{ topic }`).
 * @customElement tabstream-topics
 */
export class TopicListElement extends LitElement {
  static override properties: PropertyDeclarations = { kafka: { attribute: false }, internal: { type: Boolean } };
  static override styles: CSSResult = styles;
  declare kafka: Kafka;
  /** Show Kafka's own topics too. */
  declare internal: boolean;
  readonly #topics = new Refreshing(this, (admin) => admin.describeLogs(), 1000);

  constructor() {
    super();
    this.internal = false;
  }

  override render(): TemplateResult {
    const topics = this.#topics.state;
    if (topics.status !== 'ready') return notice(topics, 'Reading topics…');
    const shown = topics.value.filter(({ topic }) => this.internal || !topic.startsWith('__'));
    if (shown.length === 0) return html`<p class="empty">No topics yet: they appear with the first record.</p>`;
    const sorted = shown.toSorted((a, b) => a.topic.localeCompare(b.topic));
    return html`
      <div class="scroll" part="topics">
        <table>
          <thead>
            <tr>
              <th scope="col">Topic</th><th scope="col" class="number">Partitions</th>
              <th scope="col" class="number">Records</th><th scope="col" class="number">Size</th>
            </tr>
          </thead>
          <tbody>${sorted.map((log) => this.#row(log))}</tbody>
        </table>
      </div>`;
  }

  #row({ topic, partitions }: LogDescription): TemplateResult {
    return html`
      <tr>
        <td><button class="link mono name" @click=${() => this.#select(topic)}>${topic}</button></td>
        <td class="number">${partitions.length}</td>
        <td class="number">${countText(total(partitions.map(recordCount)))}</td>
        <td class="number">${bytesText(total(partitions.map(({ sizeInBytes }) => sizeInBytes)))}</td>
      </tr>`;
  }

  #select(topic: string): void {
    this.dispatchEvent(new CustomEvent('topic-selected', { detail: { topic } }));
  }
}
