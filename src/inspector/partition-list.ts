import { type CSSResult, css, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Admin, Kafka, LogDescription } from '../index.js';
import { bytesText, countText, total } from './figures.js';
import { loadedView } from './loaded-view.js';
import { Refreshing } from './refreshing.js';
import { moveByKeys } from './row-keys.js';
import { scrollArea } from './scroll-area.js';
import { styles } from './styles.js';

type Partition = LogDescription['partitions'][number];

/** Records between the two ends of a log. */
export function recordCount({ highWatermark, logStartOffset }: Partition): number {
  return Number(highWatermark) - Number(logStartOffset);
}

/**
 * The partitions of a topic: what each holds. Dispatches `partition-selected` (detail: `{ partition }`).
 * @customElement tabstream-partitions
 */
export class PartitionListElement extends LitElement {
  static override properties: PropertyDeclarations = {
    kafka: { attribute: false },
    topic: {},
    selected: { type: Number },
  };
  static override styles: CSSResult[] = [
    styles,
    css`
      summary { padding: 8px 10px; cursor: pointer; }
      .scroll { max-block-size: 15em; overflow-y: auto; border-block: 1px solid var(--line); }
      tr.selected { background: var(--raised); }
      @container (max-inline-size: 640px) {
        th:nth-child(5), td:nth-child(5) { display: none; }
        th:nth-child(4), td:nth-child(4) { padding-inline-end: 10px; }
      }
    `,
  ];
  declare kafka: Kafka;
  declare topic: string;
  declare selected: number;
  readonly #partitions = new Refreshing(this, (admin) => loadPartitions(admin, this.topic), 1000);

  constructor() {
    super();
    this.selected = 0;
  }

  override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (this.hasUpdated && changed.has('topic')) this.#partitions.restart();
  }

  override render(): TemplateResult {
    return loadedView(this.#partitions.state, 'Reading partitions…', (partitions) => this.#list(partitions));
  }

  #list(partitions: readonly Partition[]): TemplateResult {
    const count = partitions.length === 1 ? '1 partition' : `${countText(partitions.length)} partitions`;
    const records = countText(total(partitions.map(recordCount)));
    const bytes = bytesText(total(partitions.map(({ sizeInBytes }) => sizeInBytes)));
    return html`<details ?open=${partitions.length > 1} part="partitions">
      <summary>${count}, ${records} records, ${bytes}</summary>
      <div class="scroll" role="group" aria-label="Partitions" ${scrollArea()} @keydown=${moveByKeys}>
        <table>
          <thead>
            <tr>
              <th scope="col">Partition</th><th scope="col" class="number">Log start</th>
              <th scope="col" class="number">Log end</th><th scope="col" class="number">Records</th>
              <th scope="col" class="number">Size</th>
            </tr>
          </thead>
          <tbody>${repeat(
            partitions,
            ({ partition }) => partition,
            (entry) => this.#row(entry),
          )}</tbody>
        </table>
      </div>
    </details>`;
  }

  #row(entry: Partition): TemplateResult {
    const { partition, logStartOffset, highWatermark, sizeInBytes } = entry;
    const selected = partition === this.selected;
    return html`<tr class=${selected ? 'selected' : ''}>
      <td><button class="link" aria-current=${selected} aria-label="Partition ${partition}"
        @click=${() => this.#select(partition)}>${partition}</button></td>
      <td class="number">${countText(Number(logStartOffset))}</td>
      <td class="number">${countText(Number(highWatermark))}</td>
      <td class="number">${countText(recordCount(entry))}</td>
      <td class="number">${bytesText(sizeInBytes)}</td>
    </tr>`;
  }

  #select(partition: number): void {
    this.dispatchEvent(new CustomEvent('partition-selected', { detail: { partition } }));
  }
}

async function loadPartitions(admin: Admin, topic: string): Promise<readonly Partition[]> {
  const [log] = await admin.describeLogs({ topics: [topic] });
  return (log?.partitions ?? []).toSorted((a, b) => a.partition - b.partition);
}
