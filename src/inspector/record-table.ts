import { type CSSResult, css, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { ConsumedMessage, GapEventPayload, Kafka } from '../index.js';
import { browserRuntime } from '../runtime/browser-runtime.js';
import { cutAt, decode, indentJson, preview, visibleText } from './decode.js';
import { bytesText, countText, type TimeZoneChoice, timeText } from './figures.js';
import { type RecordPage, readPage, type StartAt, tail } from './record-reader.js';
import { moveByKeys } from './row-keys.js';
import { scrollArea } from './scroll-area.js';
import { styles } from './styles.js';

const PAGE_RECORDS = 100;
/** The tail keeps so many rows on screen; the count of what came stays exact. */
const TAIL_ROWS = 200;
const DRAW_MS = 100;
/** Of a key, value or header that is opened; more would only make the page slow. */
const MAX_SHOWN_CHARS = 100_000;

type Tail = { readonly mode: 'tail'; readonly received: number; readonly newest: readonly ConsumedMessage[] };

type View =
  | { readonly mode: 'loading' }
  | { readonly mode: 'failed'; readonly error: Error }
  | { readonly mode: 'page'; readonly page: RecordPage }
  | Tail;

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
    paused: { state: true },
  };
  static override styles: CSSResult[] = [
    styles,
    css`
      label { display: inline-flex; gap: 6px; align-items: center; }
      input[type='number'] { inline-size: 8em; }
      .rows { position: relative; overflow-anchor: none; scroll-padding-block-start: 56px; max-block-size: max(24em, 70vh); overflow-y: auto; border-block-start: 1px solid var(--line); }
      .records { table-layout: fixed; }
      .records thead th { position: sticky; inset-block-start: 0; background: var(--paper); overflow: hidden; z-index: 1; border: none; box-shadow: inset 0 -1px var(--line); }
      .records th:nth-child(1) { inline-size: 8em; }
      .records.tail th:nth-child(1) { inline-size: 10em; }
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
        .records th:nth-child(1), .records.tail th:nth-child(1) { inline-size: 7em; white-space: normal; }
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
  declare paused: boolean;
  /** What the tail showed when it began to stand still. */
  #held: Tail | undefined;
  /** A row in sight, and where it was before rows came in above it. */
  #anchor: { readonly row: HTMLElement; readonly top: number } | undefined;
  #running: AbortController | undefined;

  constructor() {
    super();
    this.partition = 0;
    this.zone = 'local';
    this.paused = false;
    this.view = { mode: 'loading' };
  }

  override connectedCallback(): void {
    super.connectedCallback();
    if (this.hasUpdated) this.#browse({ at: 'newest' }); // put back into the page
  }

  override willUpdate(changed: Map<PropertyKey, unknown>): void {
    if (['kafka', 'topic', 'partition'].some((name) => changed.has(name))) {
      this.view = { mode: 'loading' };
      this.#browse({ at: 'newest' });
    }
    const standsStill = this.view.mode === 'tail' && (this.paused || this.open !== undefined);
    if (!standsStill) this.#held = undefined;
    else if (this.view.mode === 'tail') this.#held ??= this.view;
    this.#anchor = this.view.mode === 'tail' ? this.#rowInSight() : undefined;
  }

  override updated(changed: Map<PropertyKey, unknown>): void {
    const rows = this.#rows;
    if (!rows) return;
    if (changed.has('view') && this.view.mode === 'page') rows.scrollTop = 0;
    if (this.#anchor?.row.isConnected) rows.scrollTop += this.#anchor.row.offsetTop - this.#anchor.top;
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#running?.abort();
  }

  override render(): TemplateResult {
    return html`
      <tabstream-partitions .kafka=${this.kafka} .topic=${this.topic} .selected=${this.partition}
        @partition-selected=${this.#choosePartition}></tabstream-partitions>
      ${this.#controls()}
      <div class="bar">
        <span class="quiet" role="status">${this.#status()}</span>
        ${this.#steps()}
      </div>
      ${this.#content()}`;
  }

  #controls(): TemplateResult {
    const tailing = this.view.mode === 'tail';
    return html`
      <form class="bar" novalidate @submit=${this.#submit}>
        <button type="button" @click=${() => this.#browse({ at: 'beginning' })}>Oldest</button>
        <button type="button" @click=${() => this.#browse({ at: 'newest' })}>Newest</button>
        <label>Offset <input name="offset" type="number" min="0" inputmode="numeric" @input=${this.#onlyThis} /></label>
        <label>Time <input name="time" type="datetime-local" step="1" @input=${this.#onlyThis} /></label>
        <button>Go</button>
        <button type="button" aria-pressed=${tailing} @click=${tailing ? () => this.#browse({ at: 'newest' }) : this.#tail}>
          Live tail
        </button>
        <button type="button" aria-pressed=${this.zone === 'utc'} @click=${this.#switchZone}>UTC</button>
        <button type="button" @click=${this.#download}
          aria-label="Download partition ${this.partition} as a Kafka segment">Download</button>
      </form>`;
  }

  /** What is read out when it changes: no figure that a live tail counts up. */
  #status(): string {
    const { view } = this;
    switch (view.mode) {
      case 'loading':
        return 'Reading records…';
      case 'failed':
        return 'No records can be shown.';
      case 'tail':
        if (view.received === 0) return 'Live, all partitions. Waiting for records…';
        if (this.#held === undefined) return 'Live, all partitions.';
        return this.paused ? 'The tail is paused.' : 'The tail stands still while a record is open.';
      case 'page': {
        const { page } = view;
        if (page.high === page.low) return `Partition ${this.partition} holds no records.`;
        return `Partition ${this.partition}, ${shownOffsets(page)}`;
      }
    }
  }

  /** To other records of what is shown. */
  #steps(): TemplateResult | typeof nothing {
    const { view } = this;
    if (view.mode === 'tail') {
      if (view.received === 0) return nothing;
      return html`<span class="quiet">${cameSoFar(view, this.#held)}</span>
        <button type="button" aria-pressed=${this.paused} @click=${this.#switchPause}>Pause</button>`;
    }
    if (view.mode !== 'page' || view.page.high === view.page.low) return nothing;
    const { low, high, from, records } = view.page;
    const last = records.at(-1);
    const next = last !== undefined && records.length === PAGE_RECORDS ? Number(last.offset) + 1 : high;
    // They stay in the order of focus where they lead nowhere: who pressed one for the last page has not lost the place.
    const step = (label: string, leads: boolean, offset: number): TemplateResult =>
      html`<button type="button" aria-disabled=${!leads} @click=${() => leads && this.#browse({ at: 'offset', offset })}>${label}</button>`;
    return html`${step('Older', from > low, from - PAGE_RECORDS)} ${step('Newer', next < high, next)}`;
  }

  #content(): TemplateResult | typeof nothing {
    const { view } = this;
    switch (view.mode) {
      case 'loading':
        return nothing;
      case 'failed':
        return html`<p role="alert">${visibleText(view.error.message)}</p>`;
      case 'tail':
        return this.#table((this.#held ?? view).newest);
      case 'page':
        return html`${view.page.gaps.map((gap) => html`<p role="alert">${lostOffsets(gap)}</p>`)}
          ${this.#table(view.page.records)}`;
    }
  }

  #table(records: readonly ConsumedMessage[]): TemplateResult | typeof nothing {
    if (records.length === 0) return nothing;
    const offset = this.view.mode === 'tail' ? 'Partition, offset' : 'Offset';
    return html`<div class="rows" part="records" role="group" aria-label="Records" @keydown=${this.#onKey}>
      <table class="records ${this.view.mode}">
        <thead>
          <tr>
            <th scope="col">${offset}</th><th scope="col">Time</th><th scope="col">Key</th><th scope="col">Value</th>
          </tr>
        </thead>
        <tbody>${repeat(records, idOf, (record) => this.#row(record))}</tbody>
      </table>
    </div>`;
  }

  #row(record: ConsumedMessage): TemplateResult {
    const { partition, offset } = record;
    const id = idOf(record);
    const opened = this.open === id;
    const shown = this.view.mode === 'tail' ? `${partition}, ${offset}` : offset;
    const toggle = ({ target }: Event): void => {
      // Who selects text in a row ends with a click on it.
      if (!(target instanceof HTMLButtonElement) && String(getSelection() ?? '') !== '') return;
      this.open = opened ? undefined : id;
    };
    const time = timeText(Number(record.timestamp), this.zone);
    return html`
      <tr class="row ${opened ? 'open' : ''}" @click=${toggle}>
        <td><button class="link mono" aria-expanded=${opened} aria-label="Record ${shown}">${shown}</button></td>
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
    const timestampMs = new Date(time + zone).getTime();
    if (time !== '' && Number.isNaN(timestampMs)) {
      // Where a browser has no picker, any text may stand there.
      const error = new Error(`expected a time such as 2026-11-23T18:04:05, found ${time}`);
      this.#show({ mode: 'failed', error }, this.#restart().signal);
    } else if (time !== '') this.#browse({ at: 'time', timestampMs });
    else this.#browse(offset === '' ? { at: 'newest' } : { at: 'offset', offset: Number(offset) });
  }

  #choosePartition({ detail }: CustomEvent<{ partition: number }>): void {
    if (detail.partition === this.partition) this.#browse({ at: 'newest' });
    this.partition = detail.partition;
  }

  /** One of the two places to go to; a value left in the other would win or mislead. */
  #onlyThis({ target }: Event): void {
    const typed = target as HTMLInputElement;
    for (const input of typed.form?.querySelectorAll('input') ?? []) if (input !== typed) input.value = '';
  }

  #onKey(pressed: KeyboardEvent): void {
    moveByKeys(pressed);
    if (pressed.key !== 'Escape' || this.open === undefined) return;
    pressed.stopPropagation(); // a dialog around the inspector stays
    pressed.preventDefault();
    this.renderRoot.querySelector<HTMLElement>('[aria-expanded=true]')?.focus();
    this.open = undefined;
  }

  get #rows(): HTMLElement | null {
    return this.renderRoot.querySelector('.rows');
  }

  /** The first row below the upper edge; undefined at the very top, where the newest are to be seen. */
  #rowInSight(): { row: HTMLElement; top: number } | undefined {
    const rows = this.#rows;
    if (!rows || rows.scrollTop === 0) return undefined;
    const row = [...rows.querySelectorAll<HTMLElement>('tr.row')].find(({ offsetTop }) => offsetTop >= rows.scrollTop);
    return row && { row, top: row.offsetTop };
  }

  #switchPause(): void {
    this.paused = !this.paused;
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
    this.open = undefined;
    this.paused = false;
    return this.#running;
  }

  #show(view: View, signal: AbortSignal): void {
    if (!signal.aborted) this.view = view;
  }
}

function idOf({ partition, offset }: ConsumedMessage): string {
  return `${partition}/${offset}`;
}

function cameSoFar({ received }: Tail, held: Tail | undefined): string {
  const came = `${countText(received)} records since the tail began`;
  if (held !== undefined) return `${came}, ${countText(received - held.received)} of them since it stands still.`;
  return `${came}${received > TAIL_ROWS ? `, the newest ${TAIL_ROWS} below` : ''}.`;
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
  return preview(bytes) || nothingThere(bytes);
}

function nothingThere(bytes: Uint8Array | null): TemplateResult {
  return html`<span class="null">${bytes === null ? 'null' : 'empty'}</span>`;
}

function details(record: ConsumedMessage, time: string): TemplateResult {
  const size = bytesText((record.key?.length ?? 0) + (record.value?.length ?? 0));
  return html`<dl>
    <dt>Partition</dt><dd>${record.partition}, offset ${record.offset}</dd>
    <dt>Time</dt><dd>${time}</dd>
    <dt>Size</dt><dd>${size}</dd>
    <dt>Key</dt><dd>${full(record.key, 'Key')}</dd>
    <dt>Value</dt><dd>${full(record.value, 'Value')}</dd>
    ${record.headerEntries.map(
      ([key, value]) => html`<dt>Header <code>${visibleText(key)}</code></dt>
        <dd>${full(value, `Header ${visibleText(key)}`)}</dd>`,
    )}
  </dl>`;
}

function full(bytes: Uint8Array | null, label: string): TemplateResult {
  const decoded = decode(bytes);
  if (decoded.format === 'null' || decoded.text === '') return nothingThere(bytes);
  const text = cutAt(decoded.text, MAX_SHOWN_CHARS);
  const cut = decoded.text.length - text.length;
  const shown = visibleText(decoded.format === 'json' && cut === 0 ? indentJson(text) : text);
  return html`<pre role="group" aria-label=${label} ${scrollArea()}>${shown}</pre>
    ${cut > 0 ? html`<span class="quiet">… and ${countText(cut)} characters more</span>` : nothing}`;
}
