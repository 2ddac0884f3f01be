import { html, nothing, type TemplateResult } from 'lit';
import type { Kafka } from '../src/index.js';
import { scrollArea } from '../src/inspector/scroll-area.js';
import type { Tally } from './scenarios/flight-statistics.js';
import { type Leadership, tabName } from './scenarios/leadership.js';
import type { CheckResult } from './scenarios/log-check.js';
import type { Progress } from './scenarios/progress.js';
import type { Replay } from './scenarios/replay.js';
import type { ReplayControl, ReplayOrder } from './scenarios/replay-control.js';
import { GROUP_ID, type StatisticsGroup } from './scenarios/statistics-group.js';
import type { StoredEvent, VisitorEvents } from './scenarios/visitor-events.js';

const AIRPORTS_SHOWN = 10;
/** Mean delay at which a column of the chart is wholly in the warm colour, in minutes. */
const LATE_MINUTES = 20;
const FLAT_OUT = 1_000_000;
const DEFAULT_RATE = 500;

export type CheckState =
  | { readonly stage: 'none' }
  | { readonly stage: 'running' }
  | {
      readonly stage: 'done';
      readonly results: readonly CheckResult[];
      /** undefined while not all flights are in the log. */
      readonly statisticsAgree: boolean | undefined;
    };

/** All that the page shows. */
export interface Demo {
  readonly kafka: Kafka;
  readonly control: ReplayControl;
  readonly leadership: Leadership;
  readonly statistics: StatisticsGroup;
  readonly visitor: VisitorEvents;
  readonly replays: readonly AnyReplay[];
  readonly check: CheckState;
  runCheck(): Promise<void>;
  /** Deletes the topics and begins anew, in all tabs. */
  startOver(): Promise<void>;
}

interface AnyReplay {
  readonly replay: Pick<Replay<unknown>, 'stage' | 'ackTimes'> & {
    readonly dataset: { topic: string; file: string; rowCount: number };
  };
  readonly progress: Progress;
}

export function page(demo: Demo): TemplateResult {
  return html`
    ${masthead(demo)} ${tabs(demo.leadership)}
    <main class="grid">
      ${demo.replays.map((one, index) => replayCard(demo.control, one, index === 0))}
      ${hoursCard(demo.statistics)} ${airportsCard(demo.statistics)} ${tabEventsCard(demo.leadership)}
      ${visitorCard(demo.visitor.latest)} ${checkCard(demo)}
      <section class="card bare" data-name="inspector" aria-label="Stream inspector">
        <stream-inspector .kafka=${demo.kafka}></stream-inspector>
      </section>
    </main>
    <footer>
      Flights: US Bureau of Transportation Statistics, by the npm package vega-datasets. Everything stays in this browser.
      tabstream is not affiliated with the Apache Software Foundation.
    </footer>
  `;
}

/** In place of the page. */
export function fatal(message: string): TemplateResult {
  return html`
    <main class="opening">
      <h1>Kafka in your tabs</h1>
      <p role="alert">The log could not be opened. ${message}</p>
      <button @click=${() => location.reload()}>Try again</button>
    </main>
  `;
}

function masthead({ leadership, startOver }: Demo): TemplateResult {
  const count = leadership.tabs.length;
  return html`
    <header class="masthead" data-name="masthead">
      <div>
        <p class="name">tabstream</p>
        <h1>Kafka in your tabs</h1>
        <p>
          A log in IndexedDB, one elected leader among the ${count > 1 ? `${count} open tabs` : 'open tabs'}, and
          KafkaJS's API. Start a replay, open more tabs, close the leader: nothing is lost, nothing comes twice.
        </p>
      </div>
      <div class="row">
        <button class="plain" data-name="start-over" @click=${() => void startOver()}>Start over</button>
        <a class="button" data-name="open-tab" href=${location.href} target="_blank">Open another tab</a>
      </div>
    </header>
  `;
}

function tabs({ tabs }: Leadership): TemplateResult {
  return html`
    <section aria-label="Tabs of this cluster">
      <ul class="tabs" role="list">
      ${tabs.map(
        (tab) => html`
          <li class="tab ${tab.leads ? 'leads' : ''} ${tab.isThisTab ? 'self' : ''}">
            ${tabName(tab)}${tab.leads ? html`<span class="quiet">leads, epoch ${tab.epoch}</span>` : nothing}
          </li>
        `,
      )}
    </ul>
    </section>
  `;
}

function replayCard(control: ReplayControl, { replay, progress }: AnyReplay, hasRate: boolean): TemplateResult {
  const { topic, file, rowCount } = replay.dataset;
  const order = control.order(topic) ?? { running: false, recordsPerSecond: hasRate ? DEFAULT_RATE : FLAT_OUT };
  const isComplete = progress.records >= rowCount;
  const give = (change: Partial<ReplayOrder>): void => void control.give(topic, { ...order, ...change });
  return html`
    <section class="card half" data-name=${`replay-${topic}`}>
      <header>
        <h2>${hasRate ? 'Replay' : 'Flat out'}: topic <code>${topic}</code></h2>
        <p>${whoSends(replay.stage, order.running, isComplete)}</p>
      </header>
      <progress max=${rowCount} .value=${progress.records} aria-label=${`Records of ${topic} in the log`}></progress>
      <dl class="figures">
        <div><dt>In the log, of ${number(rowCount)}</dt><dd>${number(progress.records)}</dd></div>
        <div><dt>Records/s</dt><dd>${number(Math.round(progress.recordsPerSecond))}</dd></div>
        ${ackFigures(replay)}
      </dl>
      <div class="row">
        <button
          data-name=${`${order.running ? 'pause' : 'start'}-${topic}`}
          aria-disabled=${isComplete}
          @click=${() => isComplete || give({ running: !order.running })}
        >
          ${isComplete ? 'All sent' : order.running ? 'Pause' : progress.records > 0 ? 'Go on' : `Send ${number(rowCount)} flights`}
        </button>
        ${
          hasRate
            ? html`<div class="rate">
                <label for="rate">Rate</label>
                <input
                  id="rate" type="range" min="50" max="5000" step="50" .value=${String(order.recordsPerSecond)}
                  aria-valuetext=${`${number(order.recordsPerSecond)} records a second`}
                  data-name="rate" @input=${showRate} @change=${(event: Event) => give({ recordsPerSecond: rateOf(event) })}
                />
                <output for="rate" aria-live="off" .value=${rateText(order.recordsPerSecond)}></output>
              </div>`
            : html`<p class="quiet">${file}, as fast as it is acknowledged</p>`
        }
      </div>
    </section>
  `;
}

function rateOf({ target }: Event): number {
  return Number((target as HTMLInputElement).value);
}

function rateText(recordsPerSecond: number): string {
  return `${number(recordsPerSecond)}/s`;
}

/** While the slider is dragged; ordered is what it is let go at. */
function showRate(event: Event): void {
  const output = (event.target as HTMLInputElement).nextElementSibling as HTMLOutputElement;
  output.value = rateText(rateOf(event));
}

function whoSends(stage: string, isRunning: boolean, isComplete: boolean): string {
  if (isComplete) return 'complete';
  if (stage === 'sending') return 'this tab sends';
  if (stage !== 'idle') return `this tab is ${stage}`;
  return isRunning ? 'another tab sends' : 'paused';
}

function ackFigures({ ackTimes }: AnyReplay['replay']): TemplateResult {
  const value = (ms: number | undefined): string =>
    ms === undefined ? '–' : ms < 10 ? ms.toFixed(1) : number(Math.round(ms));
  return html`
    <div><dt>Ack, median</dt><dd>${value(ackTimes?.p50Ms)} <small>ms</small></dd></div>
    <div><dt>Ack, longest</dt><dd>${value(ackTimes?.longestMs)} <small>ms</small></dd></div>
  `;
}

function hoursCard(group: StatisticsGroup): TemplateResult {
  const { byHour, flights } = group.statistics;
  const most = Math.max(1, ...byHour.map((tally) => tally.flights));
  return html`
    <section class="card chart two-thirds" data-name="by-hour">
      <header>
        <h2>Departures by hour</h2>
        <p>${number(flights)} flights counted by group <code>${GROUP_ID}</code>${ownShare(group.ownPartitions)}</p>
      </header>
      <ol class="hours" role="list" aria-label="Flights and mean delay by hour of departure">
        ${byHour.map((tally, hour) => hourColumn(tally, hour, most))}
      </ol>
      <p class="legend">mean delay, on time <i></i> ${LATE_MINUTES} minutes and more</p>
    </section>
  `;
}

function ownShare(partitions: readonly number[]): string {
  if (partitions.length === 0) return '';
  return `; this tab counts partition${partitions.length > 1 ? 's' : ''} ${partitions.toSorted().join(', ')}`;
}

function hourColumn(tally: Tally, hour: number, most: number): TemplateResult {
  const late = Math.round(Math.min(1, Math.max(0, mean(tally)) / LATE_MINUTES) * 100);
  const label = `${hour} h: ${number(tally.flights)} flights, mean delay ${minutes(tally)}`;
  return html`
    <li title=${label}>
      <div class="column" role="img" aria-label=${label}>
        <span style=${`height: ${(tally.flights / most) * 100}%; --late: ${late}%`}></span>
      </div>
      <span class="hour">${hour}</span>
    </li>
  `;
}

function airportsCard(group: StatisticsGroup): TemplateResult {
  const rows = Object.entries(group.statistics.byAirport)
    .toSorted(([a, x], [b, y]) => y.flights - x.flights || (a < b ? -1 : 1))
    .slice(0, AIRPORTS_SHOWN);
  const most = Math.max(1, ...rows.map(([, tally]) => tally.flights));
  return html`
    <section class="card third" data-name="by-airport">
      <header><h2>Busiest airports</h2><p>of ${number(Object.keys(group.statistics.byAirport).length)}</p></header>
      <table>
        <thead>
          <tr><th scope="col">Origin</th><td class="bar"></td><th scope="col" class="number">Flights</th><th scope="col" class="number">Mean delay</th></tr>
        </thead>
        <tbody>
          ${rows.map(
            ([airport, tally]) => html`
              <tr>
                <td>${airport}</td>
                <td class="bar"><span style=${`width: ${(tally.flights / most) * 100}%`}></span></td>
                <td class="number">${number(tally.flights)}</td>
                <td class="number ${mean(tally) > LATE_MINUTES / 2 ? 'late' : ''}">${minutes(tally)}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
      ${rows.length === 0 ? html`<p class="quiet">Nothing yet: start the replay.</p>` : nothing}
    </section>
  `;
}

function tabEventsCard({ events, leader }: Leadership): TemplateResult {
  return html`
    <section class="card third" data-name="tab-events">
      <header>
        <h2>Who leads</h2>
        <p>${leader ? (leader.isThisTab ? 'this tab' : 'another tab') : 'an election is on'}</p>
      </header>
      <ol class="log" aria-live="polite" role="list" aria-label="Changes of tabs and leader" ${scrollArea()}>
        ${events.map(({ atMs, text }) => html`<li>${time(atMs)}<span>${text}</span></li>`)}
      </ol>
      ${events.length < 3 ? html`<p class="quiet">Open another tab, then close the one that leads.</p>` : nothing}
    </section>
  `;
}

function visitorCard(latest: readonly StoredEvent[]): TemplateResult {
  return html`
    <section class="card third" data-name="visitor-events">
      <header><h2>You, as a topic: <code>visitor-events</code></h2></header>
      <input
        class="keys" data-records-keys data-name="keys" autocomplete="off" spellcheck="false"
        aria-label="Keys pressed here are recorded" placeholder="Keys pressed here are recorded"
      />
      <ol class="log" role="list" aria-label="Your last events" ${scrollArea()}>
        ${latest.map(
          ({ offset, timestampMs, event }) => html`
            <li>
              <span class="offset">${number(offset)}</span>${time(timestampMs)}
              <span>${event.type === 'key' ? html`key <code>${event.code}</code>` : html`click on ${event.on}`}</span>
            </li>
          `,
        )}
      </ol>
      ${latest.length === 0 ? html`<p class="quiet">Your clicks on this page come to lie here.</p>` : nothing}
    </section>
  `;
}

function checkCard({ check, runCheck }: Demo): TemplateResult {
  return html`
    <section class="card third" data-name="check">
      <header><h2>Every record once?</h2></header>
      <p class="quiet">Reads both logs from their beginning and compares each record with its row of the data.</p>
      <div class="row" style="margin-top: 12px">
        <button
          class="plain" data-name="run-check" aria-disabled=${check.stage === 'running'}
          @click=${() => check.stage === 'running' || void runCheck()}
        >
          ${check.stage === 'running' ? 'Reading…' : 'Check the logs'}
        </button>
      </div>
      <div role="status">${check.stage === 'done' ? checkResults(check) : nothing}</div>
    </section>
  `;
}

function checkResults({ results, statisticsAgree }: CheckState & { stage: 'done' }): TemplateResult {
  return html`
    <ul class="checks">
      ${results.map(({ topic, records, duplicates, altered, misplaced }) => {
        const isGood = duplicates + altered + misplaced === 0;
        const found = isGood
          ? `${number(records)} records, each row once, unaltered`
          : `${duplicates} twice, ${altered} altered, ${misplaced} out of order`;
        return html`<li class=${isGood ? 'good' : 'bad'}><span><code>${topic}</code>: ${found}</span></li>`;
      })}
      ${
        statisticsAgree === undefined
          ? nothing
          : html`<li class=${statisticsAgree ? 'good' : 'bad'}>
              <span>the live results ${statisticsAgree ? 'equal' : 'differ from'} those computed from the file</span>
            </li>`
      }
    </ul>
  `;
}

function mean({ flights, delay }: Tally): number {
  return flights === 0 ? 0 : delay / flights;
}

function minutes(tally: Tally): string {
  return `${mean(tally).toFixed(1)} min`;
}

function number(value: number): string {
  return value.toLocaleString('en');
}

function time(ms: number): TemplateResult {
  const date = new Date(ms);
  return html`<time datetime=${date.toISOString()}>${date.toLocaleTimeString('en-GB')}</time>`;
}
