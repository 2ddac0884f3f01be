import { type CSSResult, css, html, LitElement, nothing, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { CheckProgress, Kafka, LogCheck, LogCheckFinding } from '../index.js';
import { visibleText } from './decode.js';
import { bytesText, countText } from './figures.js';
import { scrollArea } from './scroll-area.js';
import { styles } from './styles.js';

type State =
  | { readonly mode: 'idle' }
  | { readonly mode: 'running'; readonly repair: boolean; readonly progress: CheckProgress | undefined }
  | { readonly mode: 'stopped' }
  | { readonly mode: 'failed'; readonly error: Error }
  | { readonly mode: 'done'; readonly repair: boolean; readonly check: LogCheck };

/**
 * Reads all logs through on request, lists what is damaged, and has it repaired on a second request.
 * @customElement tabstream-check
 */
export class LogCheckElement extends LitElement {
  static override properties: PropertyDeclarations = { kafka: { attribute: false }, state: { state: true } };
  static override styles: CSSResult[] = [
    styles,
    css`
      p { margin: 0 10px 12px; }
      .bar { padding-block-end: 6px; }
      progress { inline-size: 12em; accent-color: var(--accent); }
      td:last-child { overflow-wrap: anywhere; }
      .scroll { border-block-start: 1px solid var(--line); }
      @container (max-inline-size: 640px) {
        thead { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
        tr { display: grid; grid-template-columns: 1fr auto; padding-block: 4px; border-block-end: 1px solid var(--line); }
        tr > td:nth-child(n) { border: none; padding: 2px 10px; }
        td.number { white-space: normal; overflow-wrap: anywhere; }
        td:nth-child(4) { grid-area: 1 / 2; text-align: end; }
        td:last-child { grid-column: 1 / -1; color: var(--quiet); }
      }
    `,
  ];
  declare kafka: Kafka;
  declare state: State;
  #running: AbortController | undefined;
  #focused: Element | null | undefined;

  constructor() {
    super();
    this.state = { mode: 'idle' };
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    this.#stop();
  }

  override willUpdate(): void {
    this.#focused = this.shadowRoot?.activeElement;
  }

  /** A button that is not offered any more hands the focus to the first that is. */
  override updated(): void {
    if (this.#focused && !this.#focused.isConnected)
      this.renderRoot.querySelector<HTMLElement>('button[aria-disabled=false], button:not([aria-disabled])')?.focus();
  }

  override render(): TemplateResult {
    const { state } = this;
    const running = state.mode === 'running';
    const canRepair = state.mode === 'done' && state.check.findings.some(({ repaired }) => !repaired);
    return html`
      <div class="bar">
        <button aria-disabled=${running} @click=${() => !running && this.#run(false)}>Check all logs</button>
        ${canRepair ? html`<button @click=${() => this.#run(true)}>Repair</button>` : nothing}
        ${running ? html`<button @click=${() => this.#stop()}>Stop</button>` : nothing}
      </div>
      ${state.mode === 'running' ? progressOf(state.progress) : nothing}
      <div role="status">${this.#summary()}</div>
      ${state.mode === 'failed' ? html`<p role="alert">${visibleText(state.error.message)}</p>` : nothing}
      ${state.mode === 'done' ? this.#findings(state.check) : nothing}`;
  }

  #summary(): TemplateResult {
    const { state } = this;
    switch (state.mode) {
      case 'idle':
        return html`<p class="quiet">Every record batch is read and its checksum compared. Nothing is changed.</p>`;
      case 'running':
        return html`<p class="quiet">${state.repair ? 'Checking and repairing…' : 'Checking…'}</p>`;
      case 'stopped':
        return html`<p class="quiet">Stopped.</p>`;
      case 'failed':
        return html``;
      case 'done':
        return html`<p>${summaryOf(state.check, state.repair)}</p>`;
    }
  }

  #findings({ findings, gaps }: LogCheck): TemplateResult {
    if (findings.length + gaps.length === 0) return html``;
    const lost = gaps.map((gap) => ({
      ...gap,
      kind: 'lost records',
      detail: 'taken out by a repair; consumers are told',
    }));
    return html`
      <div class="scroll" role="group" aria-label="Findings" ${scrollArea()}>
        <table>
          <thead>
            <tr>
              <th scope="col">Log</th><th scope="col">Kind</th><th scope="col" class="number">Offsets</th>
              <th scope="col">State</th><th scope="col">Detail</th>
            </tr>
          </thead>
          <tbody>${[...findings, ...lost].map((finding) => row(finding))}</tbody>
        </table>
      </div>`;
  }

  #run(repair: boolean): void {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.state = { mode: 'running', repair, progress: undefined };
    void this.#check(repair, running.signal).then((state) => {
      if (this.#running === running) this.state = state;
    });
  }

  async #check(repair: boolean, signal: AbortSignal): Promise<State> {
    const admin = this.kafka.admin();
    const onProgress = (progress: CheckProgress): void => {
      if (!signal.aborted) this.state = { mode: 'running', repair, progress };
    };
    try {
      return { mode: 'done', repair, check: await admin.checkLogs({ repair, signal, onProgress }) };
    } catch (error) {
      if (signal.aborted) return { mode: 'stopped' };
      return { mode: 'failed', error: error instanceof Error ? error : new Error(String(error)) };
    } finally {
      await admin.disconnect();
    }
  }

  #stop(): void {
    this.#running?.abort();
  }
}

/** Beside what is read out, which would never end. */
function progressOf({ checkedLogs = 0, logs = 1, checkedBytes = 0 }: Partial<CheckProgress> = {}): TemplateResult {
  return html`<p><progress aria-label="Logs checked" value=${checkedLogs} max=${logs}></progress>
    ${countText(checkedLogs)} of ${countText(logs)} logs, ${bytesText(checkedBytes)}</p>`;
}

type Row = Pick<LogCheckFinding, 'topic' | 'partition' | 'fromOffset' | 'nextOffset' | 'detail'> & {
  readonly kind: string;
  readonly log?: number;
  readonly repaired?: boolean;
};

function row({ topic, partition, log, kind, fromOffset, nextOffset, repaired, detail }: Row): TemplateResult {
  const last = Math.max(Number(fromOffset), Number(nextOffset) - 1);
  const offsets = last > Number(fromOffset) ? `${fromOffset}–${last}` : fromOffset;
  const state =
    repaired === undefined
      ? html`<span class="quiet">gone</span>`
      : repaired
        ? html`<span class="good">repaired</span>`
        : html`<span class="bad">damaged</span>`;
  return html`<tr>
    <td class="mono named name">${topic === null ? `log ${log ?? 0}` : `${topic}-${partition}`}</td>
    <td>${kind}</td><td class="number">${offsets}</td><td>${state}</td><td>${visibleText(detail)}</td>
  </tr>`;
}

function summaryOf({ checkedLogs, checkedBytes, findings, gaps }: LogCheck, repair: boolean): string {
  const read = `${countText(checkedLogs)} logs, ${bytesText(checkedBytes)} read`;
  const left = findings.filter(({ repaired }) => !repaired).length;
  const lost =
    gaps.length === 0
      ? ''
      : ` Records are lost in ${countText(gaps.length)} ${gaps.length === 1 ? 'place' : 'places'}.`;
  if (findings.length === 0) return `All is whole: ${read}.${lost}`;
  if (!repair) return `${countText(left)} ${left === 1 ? 'finding' : 'findings'}: ${read}.${lost}`;
  return `${countText(findings.length - left)} repaired, ${countText(left)} left: ${read}.${lost}`;
}
