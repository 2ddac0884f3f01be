import { KafkaJSError } from '../../src/client/errors.js';
import { errorCode, KafkaError } from '../../src/protocol/errors.js';
import {
  type ApiName,
  EARLIEST_TIMESTAMP,
  LATEST_TIMESTAMP,
  type Requests,
  type Responses,
} from '../../src/protocol/requests.js';
import { batchesIn } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { describe, type Exchange, effectOf, mayBeDone, NO_TOPIC, operationsOn } from './admin-history.js';
import type { AdminCheckId, Violation } from './checkers.js';
import type { Sleep } from './cluster-simulation.js';
import { type History, logText, type Send } from './history.js';
import { linearizationProblem } from './linearizable.js';

/** One call of the client API. */
export interface Call {
  readonly tab: string;
  /** Makes one call at a time, unless it is a consumer. */
  readonly client: string;
  readonly text: string;
  readonly startMs: number;
  endMs: number | undefined;
  error: unknown;
}

/** A log that was brought into a topic that nobody else writes to. */
export interface Copy {
  readonly topic: string;
  /** Of the files that were brought in. */
  readonly bytes: readonly Uint8Array[];
  isImported: boolean;
}

export interface AdminHistory {
  readonly topics: readonly string[];
  readonly exchanges: readonly Exchange[];
  readonly calls: Call[];
  readonly copies: Copy[];
  readonly sleeps: readonly Sleep[];
  /** Messages are lost, or late, so that hosts find out by themselves what is new. */
  readonly isHeardLate: boolean;
}

/** A host that misses an announcement looks into the database after 8 s at most, on a tick of 0.5 s. */
const HEARD_LATE_MS = 10_000;
/** Messages and reads of a healthy machine take some ms; the followers read one behind the other. */
const HEARD_MS = 200;
/** What the simulation adds to a deadline: late timers, the way to the host and back. */
const SLACK_MS = 1_000;
/** What clients here wait for an answer, and at most before they try again. */
export const REQUEST_TIMEOUT_MS = 8_000;
const RETRY_MS = 1_200;
/** These may take long, and have a time-out of their own. */
const SLOW_APIS: readonly ApiName[] = ['CheckLogs', 'ImportLog'];
const SLOW_REQUEST_MS = 60_000;
/** `Consumer.disconnect`: the last commit, and the goodbye. */
const CONSUMER_CLOSE_MS = REQUEST_TIMEOUT_MS + 5_000;

const UNKNOWN_PARTITION = errorCode('UNKNOWN_TOPIC_OR_PARTITION');

type Checker = (history: History, admin: AdminHistory) => string[];

const CHECKERS: Readonly<Record<string, readonly [AdminCheckId, Checker]>> = {
  answers: ['W5', impossibleAnswers],
  errors: ['W5', oddErrors],
  honesty: ['W5', brokenPromises],
  time: ['W5', lateAnswers],
  bounds: ['S2', fallingBounds],
  records: ['S5', wrongRecords],
  copies: ['W5', wrongCopies],
  damage: ['W5', feignedDamage],
};

export function adminViolations(history: History, admin: AdminHistory): Violation[] {
  return Object.values(CHECKERS).flatMap(([check, checker]) =>
    checker(history, admin).map((text) => ({ check, text })),
  );
}

/**
 * Each name of a topic, its configs and what is committed for it are as if all calls were carried out one after another,
 * each at some moment between its start and its end.
 */
function impossibleAnswers(_history: History, admin: AdminHistory): string[] {
  return admin.topics.flatMap((topic) => {
    const operations = operationsOn(topic, admin.exchanges, (exchange) => heardMs(admin, exchange.startMs));
    const problem = linearizationProblem(operations, NO_TOPIC);
    return problem === undefined ? [] : [problem];
  });
}

/** How old at most what a host knows may be: older where one was asleep. */
function heardMs({ sleeps, isHeardLate }: AdminHistory, atMs: number): number {
  const knownMs = atMs - (isHeardLate ? HEARD_LATE_MS : HEARD_MS);
  const asleep = sleeps.filter(({ fromMs, toMs }) => fromMs <= atMs && toMs >= knownMs);
  return Math.min(knownMs, ...asleep.map(({ fromMs }) => fromMs - HEARD_LATE_MS));
}

// ---------------------------------------------------------------- errors

/** Every failure is typed, says what it is about, and knows by itself whether to try again. */
function oddErrors(_history: History, { calls, exchanges }: AdminHistory): string[] {
  const wrong = calls.flatMap(({ text, error }) => oddError(error).map((what) => `${text}: ${what}`));
  for (const exchange of exchanges) {
    const { error } = exchange;
    if (error === undefined || error instanceof KafkaError || error instanceof KafkaJSError) continue;
    if ((error as { name?: string }).name === 'AbortError' || typeof error === 'string') continue; // its caller's reason
    wrong.push(`${describe(exchange)}: expected a KafkaError`);
  }
  return wrong;
}

function oddError(error: unknown): string[] {
  if (error === undefined) return [];
  const text = String(error);
  const parts = partsOf(error);
  if (parts.length > 0) return parts.flatMap(({ error: part }) => oddError(part));
  if (!(error instanceof KafkaJSError)) return [`expected a KafkaJSError, found ${text}`];
  if (/TypeError|AssertionError|invariant|undefined|\[object/.test(text) || error.type === 'UNKNOWN_SERVER_ERROR') {
    return [`found ${text}`];
  }
  const { type, code, retriable } = error;
  if (type === undefined) return [];
  const expected = new KafkaError(type, '');
  if (code !== expected.code) return [`${text}: code ${code} is not of ${type}`];
  if (retriable && !expected.retriable) return [`${text}: ${type} is not retriable`];
  return [];
}

interface Part {
  readonly topic?: string;
  readonly groupId?: string;
  readonly partition?: number;
  readonly error: unknown;
}

/** Of an error that stands for several. */
function partsOf(error: unknown): readonly Part[] {
  const { errors, groups, partitions } = error as { errors?: readonly unknown[]; groups?: Part[]; partitions?: Part[] };
  if (errors !== undefined) return errors.map((part) => ({ ...(part as Part), error: part }));
  return groups ?? partitions ?? [];
}

/** What fails without a doubt has done nothing. */
function brokenPromises(_history: History, admin: AdminHistory): string[] {
  return admin.calls.flatMap(({ client, text, startMs, endMs, error }) => {
    if (error === undefined || endMs === undefined || client.startsWith('consumer') || text.includes(', ')) return [];
    if (text.startsWith('copy')) return [];
    const parts = partsOf(error);
    const failures = parts.length > 0 ? parts.map((part) => part.error) : [error];
    if (failures.some(isInDoubt)) return [];
    const requests = admin.exchanges.filter(
      (exchange) => exchange.client === client && exchange.startMs >= startMs && exchange.startMs <= endMs,
    );
    return requests
      .filter((exchange) => mayHaveChanged(exchange, admin.topics))
      .map((exchange) => {
        return `${text} failed for sure (${String(failures[0])}), but ${describe(exchange)}`;
      });
  });
}

function isInDoubt(error: unknown): boolean {
  const { outcomeUnknown, name } = error as { outcomeUnknown?: boolean; name?: string };
  return outcomeUnknown === true || (outcomeUnknown === undefined && name === 'KafkaJSConnectionError');
}

const CHANGES: readonly ApiName[] = [
  'CreateTopics',
  'DeleteTopics',
  'CreatePartitions',
  'AlterConfigs',
  'DeleteRecords',
  'OffsetCommit',
  'OffsetDelete',
  'DeleteGroups',
];

function mayHaveChanged(exchange: Exchange, topics: readonly string[]): boolean {
  const { api, request, response } = exchange;
  if (!CHANGES.includes(api) || (request as { validateOnly?: boolean }).validateOnly === true) return false;
  if (response === undefined) return mayBeDone(exchange);
  if (api === 'DeleteRecords') {
    const answers = (response as Responses['DeleteRecords']).topics.flatMap(({ partitions }) => partitions);
    return answers.some((answer) => answer.errorCode === 0);
  }
  if (JSON.stringify(response).includes(`"errorCode":${UNKNOWN_PARTITION}`)) return false; // a part of it was refused
  return topics.some((topic) => [0, 'unknown'].includes(effectOf(exchange, topic)?.code ?? -1));
}

// ---------------------------------------------------------------- time

/**
 * Every call ends: each of its requests within the time-out, with a wait before the next one; and whoever closes a consumer
 * waits for what its documentation says. As far as the tab was awake.
 */
function lateAnswers(_history: History, { calls, exchanges, sleeps }: AdminHistory): string[] {
  return calls.flatMap(({ tab, client, text, startMs, endMs }) => {
    if (endMs === undefined) return [];
    const asleepMs = sleeps
      .filter((sleep) => sleep.tab === tab)
      .reduce((sum, { fromMs, toMs }) => sum + Math.max(0, Math.min(toMs, endMs) - Math.max(fromMs, startMs)), 0);
    const tookMs = endMs - startMs - asleepMs;
    const limitMs =
      SLACK_MS + (client.startsWith('consumer') ? CONSUMER_CLOSE_MS : timeOf(exchanges, client, startMs, endMs));
    if (tookMs <= limitMs || (client.startsWith('consumer') && text !== 'stop' && text !== 'disconnect')) return [];
    return [`${client}: ${text} from ${startMs} ended after ${tookMs} ms, expected at most ${limitMs}`];
  });
}

function timeOf(exchanges: readonly Exchange[], client: string, startMs: number, endMs: number): number {
  return exchanges
    .filter((exchange) => exchange.client === client && exchange.startMs >= startMs && exchange.startMs <= endMs)
    .reduce((sum, { api }) => sum + RETRY_MS + (SLOW_APIS.includes(api) ? SLOW_REQUEST_MS : REQUEST_TIMEOUT_MS), 0);
}

// ---------------------------------------------------------------- bounds of logs

/** Where a log began, or ended, by an answer. */
interface Bound {
  /** `start of alpha-0` */
  readonly place: string;
  readonly offset: number;
  readonly startMs: number;
  readonly endMs: number;
  /** For people. */
  readonly by: () => string;
  /** An answer to the question, and not what follows from that to another. */
  readonly isAsked: boolean;
}

/** Neither end of a log goes back, as long as its topic is not made anew; and its start moves where that was asked for. */
function fallingBounds(history: History, admin: AdminHistory): string[] {
  return admin.topics.flatMap((topic) => {
    const bounds = [
      ...admin.exchanges.flatMap((exchange) => boundsIn(exchange, topic)),
      ...endsOfSends(history, topic),
    ];
    const fallen = bounds.flatMap((bound) => {
      const later = bounds.find(
        ({ place, startMs, offset, isAsked }) =>
          isAsked && place === bound.place && startMs > bound.endMs && offset < bound.offset,
      );
      if (later === undefined || mayBeMadeAnew(admin, topic, bound.startMs, later.endMs)) return [];
      return [`${bound.place} was ${bound.offset} at ${bound.endMs} (${bound.by()}), and then ${later.by()}`];
    });
    if (admin.exchanges.some((exchange) => deletesRecords(exchange, topic))) return fallen;
    const moved = bounds.find(({ place, offset }) => place.startsWith('start') && offset > 0);
    return moved === undefined
      ? fallen
      : [...fallen, `${moved.by()}: ${moved.place} is ${moved.offset}, as nobody asked`];
  });
}

function endsOfSends({ sends }: History, topic: string): Bound[] {
  return sends.flatMap(({ log, offset, startMs, endMs, value }) => {
    if (offset === undefined || endMs === undefined || !log.startsWith(`${topic}-`)) return [];
    return [
      { place: `end of ${log}`, offset: offset + 1, startMs, endMs, by: () => `send of ${value}`, isAsked: false },
    ];
  });
}

function boundsIn(exchange: Exchange, topic: string): Bound[] {
  const { api, response, startMs, endMs } = exchange;
  if (endMs === undefined || response === undefined) return [];
  const bound = (end: string, partition: number, offset: number, isAsked: boolean): Bound => {
    return {
      place: `${end} of ${logText(topic, partition)}`,
      offset,
      startMs,
      endMs,
      by: () => describe(exchange),
      isAsked,
    };
  };
  if (api === 'DeleteRecords') {
    const answers = (response as Responses['DeleteRecords']).topics.filter(({ name }) => name === topic);
    return answers
      .flatMap(({ partitions }) => partitions)
      .filter(({ errorCode: code }) => code === 0)
      .map(({ partitionIndex, lowWatermark }) => bound('start', partitionIndex, lowWatermark, false));
  }
  const { isolationLevel, topics } = exchange.request as Requests['ListOffsets'];
  if (api !== 'ListOffsets' || isolationLevel !== 0) return [];
  const asked = topics.flatMap(({ name, partitions }) => (name === topic ? partitions : []));
  const answers = (response as Responses['ListOffsets']).topics.filter(({ name }) => name === topic);
  return answers
    .flatMap(({ partitions }) => partitions)
    .flatMap(({ partitionIndex, errorCode: code, offset }, index) => {
      const end = ENDS.get(asked[index]?.timestamp ?? 0);
      return code !== 0 || end === undefined ? [] : [bound(end, partitionIndex, offset, true)];
    });
}

const ENDS: ReadonlyMap<number, string> = new Map([
  [EARLIEST_TIMESTAMP, 'start'],
  [LATEST_TIMESTAMP, 'end'],
]);

/** Whether it moves the start of a log, or gives the topic a short retention. */
function deletesRecords({ api, request }: Exchange, topic: string): boolean {
  if (api === 'DeleteRecords') return (request as Requests[typeof api]).topics.some(({ name }) => name === topic);
  return (api === 'CreateTopics' || api === 'AlterConfigs') && JSON.stringify(request).includes('retention.ms');
}

/** Whether a topic of this name may have been deleted within that time, or before it with a host that had not heard of it. */
function mayBeMadeAnew(admin: AdminHistory, topic: string, fromMs: number, toMs: number): boolean {
  return deletions(admin, topic).some(({ startMs, endMs }) => startMs <= toMs && endMs >= heardMs(admin, fromMs));
}

/** When a topic was, or may have been, deleted. */
function deletions({ exchanges }: AdminHistory, topic: string): { startMs: number; endMs: number; isSure: boolean }[] {
  return exchanges.flatMap((exchange) => {
    if (exchange.api !== 'DeleteTopics') return [];
    const code = effectOf(exchange, topic)?.code;
    if (code !== 0 && code !== 'unknown') return [];
    const isSure = code === 0;
    return [{ startMs: exchange.startMs, endMs: isSure ? exchange.endMs! : Number.POSITIVE_INFINITY, isSure }];
  });
}

// ---------------------------------------------------------------- records

/** What was acknowledged is there, once, where it was put, in order; nothing of a deleted topic is in its successor. */
function wrongRecords(history: History, admin: AdminHistory): string[] {
  const wrong: string[] = [];
  const sends = new Map(history.sends.map((send) => [send.value, send]));
  for (const topic of admin.topics) {
    const gone = deletions(admin, topic);
    const lastSureMs = Math.max(-1, ...gone.filter(({ isSure }) => isSure).map(({ startMs }) => startMs));
    for (const [log, records] of history.final) {
      if (log.slice(0, log.lastIndexOf('-')) !== topic) continue;
      const places = new Map(records.map(({ offset, value }) => [offset, value]));
      const low = lowOf(admin, log);
      const seen = new Set<string>();
      const last = new Map<string, Send>();
      for (const { offset, value } of records) {
        const send = sends.get(value);
        if (send === undefined || send.log !== log)
          wrong.push(`${log} offset ${offset} is ${value}, which nobody sent there`);
        if (send === undefined) continue;
        if (seen.has(value)) wrong.push(`${log}: ${value} is there twice`);
        seen.add(value);
        const before = last.get(send.producer);
        if (before !== undefined && before.order > send.order)
          wrong.push(`${log}: ${value} comes after ${before.value}`);
        last.set(send.producer, send);
        if (send.outcome === 'failed') wrong.push(`${log}: ${value} failed (${send.error}), and is there`);
        if (send.outcome === 'ok' && send.endMs! < lastSureMs) {
          wrong.push(
            `${log}: ${value} was acknowledged at ${send.endMs}, the topic deleted after ${lastSureMs}; it is there`,
          );
        }
      }
      for (const { value, outcome, offset, startMs, log: sentTo } of history.sends) {
        if (sentTo !== log || outcome !== 'ok' || offset === undefined || offset < low) continue;
        if (gone.some(({ endMs }) => endMs >= startMs) || places.get(offset) === value) continue;
        wrong.push(
          `${value} was acknowledged at ${log} offset ${offset}, where there is ${places.get(offset) ?? 'nothing'}`,
        );
      }
    }
    for (const { reader, log, offset, value, atMs } of history.reads) {
      const send = sends.get(value);
      if (!log.startsWith(`${topic}-`) || send?.outcome !== 'ok') continue;
      const isWhole = !gone.some(({ startMs, endMs }) => startMs <= send.endMs! && endMs >= send.startMs);
      if (isWhole && offset !== (send.offset ?? offset)) {
        wrong.push(`${reader} read ${value} at ${log} offset ${offset}, acknowledged at ${send.offset}`);
      }
      const deleted = gone.find(
        ({ isSure, startMs, endMs }) => isSure && startMs > send.endMs! && endMs < heardMs(admin, atMs) - SLACK_MS,
      );
      if (deleted === undefined) continue;
      wrong.push(`${reader} read ${value} of ${log} at ${atMs}, which was deleted with its topic by ${deleted.endMs}`);
    }
  }
  return wrong;
}

/** Where a log begins in the end. */
function lowOf({ exchanges }: AdminHistory, log: string): number {
  const topic = log.slice(0, log.lastIndexOf('-'));
  const starts = exchanges.flatMap((exchange) => boundsIn(exchange, topic));
  return starts.findLast(({ place }) => place === `start of ${log}`)?.offset ?? 0;
}

/** What was brought in is what was brought out. */
function wrongCopies(history: History, { copies }: AdminHistory): string[] {
  return copies.flatMap(({ topic, bytes, isImported }) => {
    const found = history.final.get(logText(topic, 0));
    if (!isImported || found === undefined) return isImported ? [`${topic} is not there`] : [];
    const expected = bytes.flatMap((file) =>
      [...batchesIn(file)].flatMap(({ at }) =>
        decodeRecords(file, at).map(({ offset, value }) => `${offset} ${new TextDecoder().decode(value ?? undefined)}`),
      ),
    );
    const there = found.map(({ offset, value }) => `${offset} ${value}`);
    return there.join() === expected.join() ? [] : [`${topic} holds ${there.join()}, imported was ${expected.join()}`];
  });
}

/** Nothing here is damaged, whatever becomes of it while it is looked at. */
function feignedDamage(_history: History, { exchanges }: AdminHistory): string[] {
  return exchanges.flatMap((exchange) => {
    if (exchange.api !== 'CheckLogs' || exchange.response === undefined) return [];
    const { topics } = exchange.response as Responses['CheckLogs'];
    const findings = topics.flatMap(({ partitions }) =>
      partitions.flatMap(
        (partition) => partition.findings.filter(({ kind }) => kind !== 'leftover'), // of a leader that died; the next one sweeps it
      ),
    );
    return findings.map(({ kind, detail }) => `${describe(exchange)}: ${kind}: ${detail}`);
  });
}
