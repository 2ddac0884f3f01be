import { type CSSResult, css, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Admin, Kafka, LogDescription } from '../index.js';
import { bytesText, countText, total } from './figures.js';
import { notice } from './notice.js';
import { Refreshing } from './refreshing.js';
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
      @container (max-inline-size: 640px) { th:nth-child(5), td:nth-child(5) { display: none; } }
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
    const partitions = this.#partitions.state;
    if (partitions.status !== 'ready') return notice(partitions, 'Reading partitions…');
    const { value } = partitions;
    const count = value.length === 1 ? '1 partition' : `${countText(value.length)} partitions`;
    const records = countText(total(value.map(recordCount)));
    const bytes = bytesText(total(value.map(({ sizeInBytes }) => sizeInBytes)));
    return html`<details ?open=${value.length > 1} part="partitions">
      <summary>${count}, ${records} records, ${bytes}</summary>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Partition</th><th scope="col" class="number">Log start</th>
              <th scope="col" class="number">Log end</th><th scope="col" class="number">Records</th>
              <th scope="col" class="number">Size</th>
            </tr>
          </thead>
          <tbody>${value.map((partition) => this.#row(partition))}</tbody>
        </table>
      </div>
    </details>`;
  }

  #row(entry: Partition): TemplateResult {
    const { partition, logStartOffset, highWatermark, sizeInBytes } = entry;
    const selected = partition === this.selected;
    return html`<tr class=${selected ? 'selected' : ''}>
      <td><button class="link" aria-pressed=${selected} aria-label="Partition ${partition}"
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
