import { type CSSResult, css, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { ConsumedMessage, GapEventPayload, Kafka } from '../index.js';
import { browserRuntime } from '../runtime/browser-runtime.js';
import { type Decoded, decode, indentJson, preview, visibleText } from './decode.js';
import { bytesText, countText, type TimeZoneChoice, timeText } from './figures.js';
import { type RecordPage, readPage, type StartAt, tail } from './record-reader.js';
import { styles } from './styles.js';

const PAGE_RECORDS = 100;
/** The tail keeps so many rows on screen; the count of what came stays exact. */
const TAIL_ROWS = 200;
const DRAW_MS = 100;
/** Of a key, value or header that is opened; more would only make the page slow. */
const MAX_SHOWN_CHARS = 100_000;

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
    topic: {},
    partition: { type: Number },
    view: { state: true },
    zone: { state: true },
    open: { state: true },
  };
  static override styles: CSSResult[] = [
    styles,
    css`
      label { display: inline-flex; gap: 6px; align-items: center; }
      input[type='number'] { inline-size: 8em; }
      .rows { max-block-size: max(24em, 70vh); overflow-y: auto; border-block-start: 1px solid var(--line); }
      .records { table-layout: fixed; }
      .records thead th { position: sticky; inset-block-start: 0; background: var(--paper); overflow: hidden; z-index: 1; }
      .records th:nth-child(1) { inline-size: 8em; }
      .records th:nth-child(2) { inline-size: 15em; }
      .records th:nth-child(3) { inline-size: 20%; }
      .records td { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; unicode-bidi: isolate; }
      .records tr.row { cursor: pointer; }
      .records tr.row:hover, .records tr.open { background: var(--raised); }
      .records td.details { white-space: normal; padding-block-end: 14px; }
      pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-block-size: 24em; overflow-y: auto; unicode-bidi: isolate; }
      dl { display: grid; grid-template-columns: minmax(5em, max-content) 1fr; gap: 4px 12px; margin: 0; }
      dt { color: var(--quiet); overflow-wrap: anywhere; }
      dd { margin: 0; min-inline-size: 0; }
      @container (max-inline-size: 640px) {
        .records th:nth-child(1) { inline-size: 5em; }
        .records th:nth-child(2), .records tr.row td:nth-child(2) { inline-size: 0; padding-inline: 0; }
        .records th:nth-child(3) { inline-size: 32%; }
        dl { grid-template-columns: 1fr; gap: 0; }
        dd { margin-block-end: 8px; }
      }
      .null { font-style: italic; color: var(--quiet); }
    `,
  ];
  declare kafka: Kafka;
  declare topic: string;
  declare partition: number;
  declare view: View;
  declare zone: TimeZoneChoice;
  declare open: string | undefined;
  #running: AbortController | undefined;

  constructor() {
    super();
    this.partition = 0;
    this.zone = 'local';
    this.view = { mode: 'loading' };
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#browse({ at: 'newest' }); // put back into the page
  }

  override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (!['kafka', 'topic', 'partition'].some((name) => changed.has(name))) return;
    this.view = { mode: 'loading' };
    this.#browse({ at: 'newest' });
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#running?.abort();
  }

  override render(): TemplateResult {
    return html`
      <tabstream-partitions .kafka=${this.kafka} .topic=${this.topic} .selected=${this.partition}
        @partition-selected=${this.#choosePartition}></tabstream-partitions>
      ${this.#controls()} ${this.#content()}`;
  }

  #controls(): TemplateResult {
    const tailing = this.view.mode === 'tail';
    return html`
      <form class="bar" novalidate @submit=${this.#submit}>
        <button type="button" @click=${() => this.#browse({ at: 'beginning' })}>Oldest</button>
        <button type="button" @click=${() => this.#browse({ at: 'newest' })}>Newest</button>
        <label>Offset <input name="offset" type="number" min="0" inputmode="numeric" /></label>
        <label>Time <input name="time" type="datetime-local" step="1" /></label>
        <button>Go</button>
        <button type="button" aria-pressed=${tailing} @click=${tailing ? () => this.#browse({ at: 'newest' }) : this.#tail}>
          Live tail
        </button>
        <button type="button" aria-pressed=${this.zone === 'utc'} @click=${this.#switchZone}>UTC</button>
        <button type="button" @click=${this.#download}
          aria-label="Download partition ${this.partition} as a Kafka segment">Download</button>
      </form>`;
  }

  #content(): TemplateResult {
    const view = this.view;
    switch (view.mode) {
      case 'loading':
        return html`<p role="status">Reading records…</p>`;
      case 'failed':
        return html`<p role="alert">${visibleText(view.error.message)}</p>`;
      case 'tail':
        return html`
          <div class="bar"><span class="quiet">Live, all partitions: ${countText(view.received)} records since the tail
            began${view.received > TAIL_ROWS ? `, the newest ${TAIL_ROWS} below` : ''}.</span></div>
          ${view.newest.length === 0 ? html`<p role="status">Waiting for records…</p>` : this.#table(view.newest)}`;
      case 'page': {
        const { low, high, from, records, gaps } = view.page;
        if (high === low) return html`<p class="empty">Partition ${this.partition} holds no records.</p>`;
        const last = records.at(-1);
        const next = last !== undefined && records.length === PAGE_RECORDS ? Number(last.offset) + 1 : high;
        return html`
          <div class="bar">
            <span class="quiet">Partition ${this.partition}, ${shownOffsets(view.page)}</span>
            <button ?disabled=${from <= low} @click=${() => this.#browse({ at: 'offset', offset: from - PAGE_RECORDS })}>Older</button>
            <button ?disabled=${next >= high} @click=${() => this.#browse({ at: 'offset', offset: next })}>Newer</button>
          </div>
          ${gaps.map((gap) => html`<p role="alert">${lostOffsets(gap)}</p>`)}
          ${records.length === 0 ? nothing : this.#table(records)}`;
      }
    }
  }

  #table(records: readonly ConsumedMessage[]): TemplateResult {
    const offset = this.view.mode === 'tail' ? 'Partition, offset' : 'Offset';
    return html`<div class="rows" part="records">
      <table class="records">
        <thead>
          <tr>
            <th scope="col">${offset}</th><th scope="col">Time</th><th scope="col">Key</th><th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>${records.map((record) => this.#row(record))}</tbody>
      </table>
    </div>`;
  }

  #row(record: ConsumedMessage): TemplateResult {
    const { partition, offset } = record;
    const id = `${partition}/${offset}`;
    const opened = this.open === id;
    const toggle = (): void => {
      this.open = opened ? undefined : id;
    };
    const time = timeText(Number(record.timestamp), this.zone);
    return html`
      <tr class="row ${opened ? 'open' : ''}" @click=${toggle}>
        <td><button class="link mono" aria-expanded=${opened} aria-label="Record ${offset} of partition ${partition}">
          ${this.view.mode === 'tail' ? `${partition}, ` : ''}${offset}</button></td>
        <td class="mono">${time}</td>
        <td class="mono">${cell(record.key)}</td>
        <td class="mono">${cell(record.value)}</td>
      </tr>
      ${opened ? html`<tr class="open"><td class="details" colspan="4">${details(record, time)}</td></tr>` : nothing}`;
  }

  #submit(submitted: SubmitEvent): void {
    submitted.preventDefault();
    const data = new FormData(submitted.target as HTMLFormElement);
    const time = String(data.get('time') ?? '');
    const offset = String(data.get('offset') ?? '');
    const zone = this.zone === 'utc' ? 'Z' : '';
    if (time !== '') this.#browse({ at: 'time', timestampMs: new Date(time + zone).getTime() });
    else this.#browse(offset === '' ? { at: 'newest' } : { at: 'offset', offset: Number(offset) });
  }

  #choosePartition({ detail }: CustomEvent<{ partition: number }>): void {
    if (detail.partition === this.partition) this.#browse({ at: 'newest' });
    this.partition = detail.partition;
  }

  #switchZone(): void {
    this.zone = this.zone === 'utc' ? 'local' : 'utc';
  }

  #browse(start: StartAt): void {
    const { signal } = this.#restart();
    const { kafka, topic, partition } = this;
    readPage(kafka, { topic, partition, start, count: PAGE_RECORDS }, signal).then(
      (page) => this.#show({ mode: 'page', page }, signal),
      (error: Error) => this.#show({ mode: 'failed', error }, signal),
    );
  }

  /** The partition as it is now, in Kafka's own files. */
  async #download(): Promise<void> {
    const { signal } = this.#restart();
    const admin = this.kafka.admin();
    try {
      for await (const { name, log } of admin.exportPartition({
        topic: this.topic,
        partition: this.partition,
        signal,
      })) {
        const link = document.createElement('a');
        link.href = URL.createObjectURL(log);
        link.download = name;
        link.click();
        URL.revokeObjectURL(link.href);
      }
      this.#browse({ at: 'newest' });
    } catch (error) {
      this.#show({ mode: 'failed', error: error instanceof Error ? error : new Error(String(error)) }, signal);
    } finally {
      await admin.disconnect();
    }
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
    for await (const record of tail(this.kafka, this.topic, signal)) {
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

function shownOffsets({ low, high, from, records }: RecordPage): string {
  const all = `offsets ${countText(low)} to ${countText(high - 1)}`;
  const last = records.at(-1);
  if (last === undefined) return `${all}: none there`;
  return `${all}, shown ${countText(from)} to ${countText(Number(last.offset))}`;
}

function lostOffsets({ fromOffset, nextOffset, reason }: GapEventPayload): string {
  const last = countText(Number(nextOffset) - 1);
  return `Offsets ${countText(Number(fromOffset))} to ${last} are lost (${reason}). A check of the logs tells more.`;
}

function cell(bytes: Uint8Array | null): TemplateResult | string {
  return preview(bytes) ?? html`<span class="null">null</span>`;
}

function details(record: ConsumedMessage, time: string): TemplateResult {
  const size = bytesText((record.key?.length ?? 0) + (record.value?.length ?? 0));
  return html`<dl>
    <dt>Partition</dt><dd>${record.partition}, offset ${record.offset}</dd>
    <dt>Time</dt><dd>${time}</dd>
    <dt>Size</dt><dd>${size}</dd>
    <dt>Key</dt><dd>${full(decode(record.key), 'Key')}</dd>
    <dt>Value</dt><dd>${full(decode(record.value), 'Value')}</dd>
    ${record.headerEntries.map(
      ([key, value]) => html`<dt>Header <code>${visibleText(key)}</code></dt>
        <dd>${full(decode(value), `Header ${visibleText(key)}`)}</dd>`,
    )}
  </dl>`;
}

function full(decoded: Decoded, label: string): TemplateResult {
  if (decoded.format === 'null') return html`<span class="null">null</span>`;
  const text = decoded.text.slice(0, MAX_SHOWN_CHARS);
  const cut = decoded.text.length - text.length;
  const shown = visibleText(decoded.format === 'json' && cut === 0 ? indentJson(text) : text);
  return html`<pre tabindex="0" role="region" aria-label=${label}>${shown}</pre>
    ${cut > 0 ? html`<span class="quiet">… and ${countText(cut)} characters more</span>` : nothing}`;
}
