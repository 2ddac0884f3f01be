import { type CSSResult, css, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Admin, ConsumedMessage, Kafka } from '../index.js';
import { browserRuntime } from '../runtime/browser-runtime.js';
import { type Decoded, decode, indentJson, preview } from './decode.js';
import { bytesText, countText, type TimeZoneChoice, timeText } from './figures.js';
import { type RecordPage, readPage, type StartAt, tail } from './record-reader.js';
import { styles } from './styles.js';

const PAGE_RECORDS = 100;
/** The tail keeps so many rows on screen; the count of what came stays exact. */
const TAIL_ROWS = 200;
const DRAW_MS = 100;

type View =
  | { readonly mode: 'loading' }
  | { readonly mode: 'failed'; readonly error: Error }
  | { readonly mode: 'page'; readonly page: RecordPage }
  | { readonly mode: 'tail'; readonly received: number; readonly newest: readonly ConsumedMessage[] };

/**
 * Records of a topic: a page of a partition from an offset or a time, or the live tail of all partitions.
 * Record content is shown as text; it never becomes markup.
 * @customElement tabstream-records
 */
export class RecordTableElement extends LitElement {
  static override properties: PropertyDeclarations = {
    kafka: { attribute: false },
    admin: { attribute: false },
    topic: {},
    partitions: { type: Number },
    view: { state: true },
    partition: { state: true },
    zone: { state: true },
    open: { state: true },
  };
  static override styles: CSSResult[] = [
    styles,
    css`
      form, .bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 10px; }
      label { display: inline-flex; gap: 6px; align-items: center; }
      input[type='number'] { inline-size: 9em; }
      tr.row { cursor: pointer; }
      tr.row:hover { background: var(--raised); }
      td.value { inline-size: 60%; overflow-wrap: anywhere; }
      pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-block-size: 24em; overflow-y: auto; }
      dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 12px; margin: 0; }
      dt { color: var(--quiet); }
      dd { margin: 0; min-inline-size: 0; }
      .null { font-style: italic; color: var(--quiet); }
    `,
  ];
  declare kafka: Kafka;
  declare admin: Admin;
  declare topic: string;
  declare partitions: number;
  declare view: View;
  declare partition: number;
  declare zone: TimeZoneChoice;
  declare open: string | undefined;
  #running: AbortController | undefined;

  constructor() {
    super();
    this.partitions = 1;
    this.partition = 0;
    this.zone = 'local';
    this.view = { mode: 'loading' };
  }

  override connectedCallback(): void {
    super.connectedCallback();
    this.#browse({ at: 'newest' });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#running?.abort();
  }

  override render(): TemplateResult {
    return html`${this.#controls()} ${this.#content()}`;
  }

  #controls(): TemplateResult {
    const tailing = this.view.mode === 'tail';
    return html`
      <form @submit=${this.#submit}>
        <label>Partition
          <select name="partition" @change=${this.#choosePartition}>
            ${Array.from({ length: this.partitions }, (_, p) => html`<option value=${p} ?selected=${p === this.partition}>${p}</option>`)}
          </select>
        </label>
        <button type="button" @click=${() => this.#browse({ at: 'beginning' })}>Oldest</button>
        <button type="button" @click=${() => this.#browse({ at: 'newest' })}>Newest</button>
        <label>Offset <input name="offset" type="number" min="0" inputmode="numeric" /></label>
        <label>Time <input name="time" type="datetime-local" step="1" /></label>
        <button>Go</button>
        <button type="button" aria-pressed=${tailing} @click=${tailing ? () => this.#browse({ at: 'newest' }) : this.#tail}>
          ${tailing ? 'Stop tail' : 'Live tail'}
        </button>
        <button type="button" @click=${this.#switchZone} title="Time zone of timestamps">${this.zone === 'utc' ? 'UTC' : 'Local time'}</button>
      </form>`;
  }

  #content(): TemplateResult {
    const view = this.view;
    switch (view.mode) {
      case 'loading':
        return html`<p role="status">Reading records…</p>`;
      case 'failed':
        return html`<p role="alert">${view.error.message}</p>`;
      case 'tail':
        return html`<p role="status">Live: ${countText(view.received)} records since the tail began, the newest
            ${Math.min(view.newest.length, TAIL_ROWS)} below.</p>
          ${this.#table(view.newest)}`;
      case 'page': {
        const { low, high, from, records } = view.page;
        const last = Number(records.at(-1)?.offset ?? from - 1);
        return html`
          <div class="bar">
            <span class="quiet">Offsets ${countText(low)} to ${countText(high)} (exclusive), shown
              ${records.length === 0 ? 'none' : html`${countText(from)} to ${countText(last)}`}</span>
            <button ?disabled=${from <= low} @click=${() => this.#browse({ at: 'offset', offset: from - PAGE_RECORDS })}>Older</button>
            <button ?disabled=${last + 1 >= high} @click=${() => this.#browse({ at: 'offset', offset: last + 1 })}>Newer</button>
          </div>
          ${this.#table(records)}`;
      }
    }
  }

  #table(records: readonly ConsumedMessage[]): TemplateResult {
    return html`<div class="scroll" part="records">
      <table>
        <thead><tr><th class="number">Offset</th><th>Time</th><th>Key</th><th>Value</th></tr></thead>
        <tbody>${records.map((record) => this.#row(record))}</tbody>
      </table>
    </div>`;
  }

  #row(record: ConsumedMessage): TemplateResult {
    const id = `${record.partition}/${record.offset}`;
    const opened = this.open === id;
    const toggle = (): void => {
      this.open = opened ? undefined : id;
    };
    return html`
      <tr class="row" @click=${toggle}>
        <td class="number"><button class="link mono" aria-expanded=${opened} aria-label="Record ${id}">${record.offset}</button></td>
        <td class="mono">${timeText(Number(record.timestamp), this.zone)}</td>
        <td class="mono">${cell(decode(record.key))}</td>
        <td class="value mono">${cell(decode(record.value))}</td>
      </tr>
      ${opened ? html`<tr><td colspan="4">${details(record)}</td></tr>` : nothing}`;
  }

  #submit(submitted: SubmitEvent): void {
    submitted.preventDefault();
    const data = new FormData(submitted.target as HTMLFormElement);
    const time = String(data.get('time') ?? '');
    const offset = String(data.get('offset') ?? '');
    if (time !== '') this.#browse({ at: 'time', timestampMs: new Date(time).getTime() });
    else this.#browse(offset === '' ? { at: 'newest' } : { at: 'offset', offset: Number(offset) });
  }

  #choosePartition(changed: Event): void {
    this.partition = Number((changed.target as HTMLSelectElement).value);
    this.#browse({ at: 'newest' });
  }

  #switchZone(): void {
    this.zone = this.zone === 'utc' ? 'local' : 'utc';
  }

  #browse(start: StartAt): void {
    const { signal } = this.#restart();
    const { kafka, admin, topic, partition } = this;
    readPage(kafka, admin, { topic, partition, start, count: PAGE_RECORDS }, signal).then(
      (page) => this.#show({ mode: 'page', page }, signal),
      (error: Error) => this.#show({ mode: 'failed', error }, signal),
    );
  }

  #tail(): void {
    const { signal } = this.#restart();
    this.view = { mode: 'tail', received: 0, newest: [] };
    void this.#follow(signal).catch((error: Error) => this.#show({ mode: 'failed', error }, signal));
  }

  /** Rows are drawn a few times a second, however many records come. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { clock } = browserRuntime();
    let received = 0;
    let newest: ConsumedMessage[] = [];
    let waiting = false;
    const draw = (): void => {
      waiting = false;
      this.#show({ mode: 'tail', received, newest: newest.slice(-TAIL_ROWS).reverse() }, signal);
    };
    for await (const record of tail(this.kafka, this.admin, this.topic, signal)) {
      received++;
      newest.push(record);
      if (newest.length > 2 * TAIL_ROWS) newest = newest.slice(-TAIL_ROWS);
      if (waiting) continue;
      waiting = true;
      clock.sleep(DRAW_MS, signal).then(draw, () => {});
    }
  }

  #restart(): AbortController {
    this.#running?.abort();
    this.#running = new AbortController();
    return this.#running;
  }

  #show(view: View, signal: AbortSignal): void {
    if (!signal.aborted) this.view = view;
  }
}

function cell(decoded: Decoded): TemplateResult | string {
  return decoded.format === 'null' ? html`<span class="null">null</span>` : preview(decoded);
}

function details(record: ConsumedMessage): TemplateResult {
  return html`<dl>
    <dt>Partition</dt><dd>${record.partition}</dd>
    <dt>Size</dt><dd>${bytesText((record.key?.length ?? 0) + (record.value?.length ?? 0))}</dd>
    <dt>Key</dt><dd>${full(decode(record.key))}</dd>
    <dt>Value</dt><dd>${full(decode(record.value))}</dd>
    ${record.headerEntries.map(([key, value]) => html`<dt>Header <code>${key}</code></dt><dd>${full(decode(value))}</dd>`)}
  </dl>`;
}

function full(decoded: Decoded): TemplateResult {
  switch (decoded.format) {
    case 'null':
      return html`<span class="null">null</span>`;
    case 'json':
      return html`<pre>${indentJson(decoded.text)}</pre>`;
    default:
      return html`<pre>${decoded.text}</pre>`;
  }
}
