import { type CSSResult, css, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Kafka, LogDescription } from '../index.js';
import { bytesText, countText, total } from './figures.js';
import { loadedView } from './loaded-view.js';
import { recordCount } from './partition-list.js';
import { Refreshing } from './refreshing.js';
import { moveByKeys } from './row-keys.js';
import { scrollArea } from './scroll-area.js';
import { styles } from './styles.js';

/**
 * The topics with their partitions, records and bytes. Dispatches `topic-selected` (detail: `{ topic }`).
 * @customElement tabstream-topics
 */
export class TopicListElement extends LitElement {
  static override properties: PropertyDeclarations = {
    kafka: { attribute: false },
    internal: { type: Boolean },
  };
  static override styles: CSSResult[] = [
    styles,
    css`
      @container (max-inline-size: 480px) { th:nth-child(2), td:nth-child(2) { display: none; } }
    `,
  ];
  declare kafka: Kafka;
  /** Show Kafka's own topics too. */
  declare internal: boolean;
  /** The topic that a person comes back from: it gets the focus, if nothing else has it by then. */
  left: string | undefined;
  readonly #topics = new Refreshing(this, (admin) => admin.describeLogs(), 1000);

  constructor() {
    super();
    this.internal = false;
  }

  override render(): TemplateResult {
    return loadedView(this.#topics.state, 'Reading topics…', (topics) => this.#table(topics));
  }

  override updated(): void {
    if (this.left === undefined || this.#topics.state.status === 'loading') return;
    const name = this.left;
    this.left = undefined;
    if (document.activeElement !== document.body) return;
    const buttons = [...this.renderRoot.querySelectorAll('button')];
    (buttons.find(({ textContent }) => textContent === name) ?? buttons[0])?.focus();
  }

  #table(topics: readonly LogDescription[]): TemplateResult {
    const shown = topics.filter(({ topic }) => this.internal || !topic.startsWith('__'));
    if (shown.length === 0) return html`<p class="empty">No topics yet: they appear with the first record.</p>`;
    const sorted = shown.toSorted((a, b) => a.topic.localeCompare(b.topic));
    return html`
      <div class="scroll" part="topics" role="group" aria-label="Topics" ${scrollArea()} @keydown=${moveByKeys}>
        <table>
          <thead>
            <tr>
              <th scope="col">Topic</th><th scope="col" class="number">Partitions</th>
              <th scope="col" class="number">Records</th><th scope="col" class="number">Size</th>
            </tr>
          </thead>
          <tbody>${repeat(
            sorted,
            ({ topic }) => topic,
            (log) => this.#row(log),
          )}</tbody>
        </table>
      </div>`;
  }

  #row({ topic, partitions }: LogDescription): TemplateResult {
    return html`
      <tr>
        <td class="named"><button class="link mono name" @click=${() => this.#select(topic)}>${topic}</button></td>
        <td class="number">${partitions.length}</td>
        <td class="number">${countText(total(partitions.map(recordCount)))}</td>
        <td class="number">${bytesText(total(partitions.map(({ sizeInBytes }) => sizeInBytes)))}</td>
      </tr>`;
  }

  #select(topic: string): void {
    this.dispatchEvent(new CustomEvent('topic-selected', { detail: { topic } }));
  }
}
