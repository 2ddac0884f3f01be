import { describe as describeExchange } from './admin-history.js';
import { describeAdminViolations, runAdminScenario } from './admin-scenario.js';
import type { Violation } from './checkers.js';
import type { History } from './history.js';
import type { FaultKind } from './misfortunes.js';
import { describeViolations, runScenario } from './scenario.js';
import { describeTableViolations, runTableScenario, type TableFault } from './table-scenario.js';

/** One run, for people. */
interface Run {
  readonly faults: readonly string[];
  readonly violations: readonly Violation[];
  readonly description: string;
  readonly figures: string;
  readonly printHistory: () => void;
  readonly trace?: readonly string[];
}

interface RunOptions {
  readonly seed: number;
  readonly faults: readonly string[] | undefined;
  readonly trace: boolean;
}

const SCENARIOS: Readonly<Record<string, (options: RunOptions) => Promise<Run>>> = { records, table, admin };

/**
 * npm run simulate -- --seed N [--scenario records|table|admin] [--count N] [--faults kill,freeze] [--verbose] [--trace]
 *
 * Runs the scenario of a seed (or of `count` seeds from there on) and prints what the checkers found; with `--verbose`
 * the whole history. Ends with 1 if something was found.
 */
export async function simulate(args: readonly string[]): Promise<number> {
  const value = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const first = Number(value('--seed') ?? 0);
  const count = Number(value('--count') ?? 1);
  const scenario = SCENARIOS[value('--scenario') ?? 'records'];
  if (scenario === undefined) throw new Error(`--scenario: expected one of ${Object.keys(SCENARIOS).join(', ')}`);
  const faults = value('--faults')?.split(',');
  const verbose = args.includes('--verbose');
  const trace = args.includes('--trace');
  let bad = 0;
  for (let seed = first; seed < first + count; seed++) {
    const begin = performance.now();
    const run = await scenario({ seed, faults, trace });
    if (run.trace !== undefined) console.log(run.trace.join('\n'));
    if (verbose) run.printHistory();
    const ms = (performance.now() - begin).toFixed(0);
    console.log(`seed ${seed} (${run.faults.join(', ')}): ${run.figures} in ${ms} ms`);
    if (run.violations.length > 0) {
      bad++;
      console.log(run.description);
    }
  }
  if (count > 1) console.log(`${bad} of ${count} seeds failed`);
  return bad === 0 ? 0 : 1;
}

async function records({ seed, faults, trace }: RunOptions): Promise<Run> {
  const result = await runScenario({ seed, trace, ...(faults && { faults: faults as FaultKind[] }) });
  const { history, stepCount, virtualMs } = result;
  const acknowledged = history.sends.filter((send) => send.outcome === 'ok').length;
  const text = `${history.sends.length} sends (${acknowledged} acknowledged), ${history.reads.length} reads`;
  return {
    ...{ faults: result.faults, violations: result.violations, description: describeViolations(result) },
    figures: `${text}; ${stepCount} steps, ${(virtualMs / 1000).toFixed(1)} s`,
    printHistory: () => printLines(linesOf(history)),
    ...(trace && { trace: result.trace }),
  };
}

async function table({ seed, faults }: RunOptions): Promise<Run> {
  const result = await runTableScenario({ seed, ...(faults && { faults: faults as TableFault[] }) });
  const { puts, readers } = result.table;
  return {
    ...{ faults: result.faults, violations: result.violations, description: describeTableViolations(result) },
    figures: `${puts.length} puts, ${readers.length} readers`,
    printHistory: () => {
      for (const put of puts) console.log(JSON.stringify(put));
    },
  };
}

async function admin({ seed, faults }: RunOptions): Promise<Run> {
  const result = await runAdminScenario({ seed, ...(faults && { faults: faults as FaultKind[] }) });
  const { history, admin: asked, virtualMs } = result;
  const failed = asked.calls.filter(({ error }) => error !== undefined).length;
  return {
    ...{ faults: result.faults, violations: result.violations, description: describeAdminViolations(result) },
    figures: `${asked.calls.length} calls (${failed} failed), ${asked.exchanges.length} requests, ${(virtualMs / 1000).toFixed(1)} s`,
    printHistory: () => {
      const lines = linesOf(history);
      for (const { client, text, startMs, endMs, error } of asked.calls) {
        lines.push([startMs, `${client} calls ${text}`]);
        const { outcomeUnknown } = (error ?? {}) as { outcomeUnknown?: boolean };
        if (endMs !== undefined)
          lines.push([endMs, `${client} called ${text}: ${error ?? 'done'} ${outcomeUnknown ?? ''}`]);
      }
      for (const exchange of asked.exchanges) {
        if (!QUIET_APIS.includes(exchange.api)) lines.push([exchange.startMs, describeExchange(exchange)]);
      }
      printLines(lines);
    },
  };
}

const QUIET_APIS = ['Fetch', 'Produce', 'Heartbeat', 'JoinGroup', 'SyncGroup', 'InitProducerId'];

type Line = readonly [atMs: number, text: string];

function linesOf(history: History): Line[] {
  const lines: Line[] = [];
  for (const text of history.events) lines.push([Number.parseFloat(text), text.slice(text.indexOf(' ') + 1)]);
  for (const { value, log, startMs, endMs, outcome, offset, error } of history.sends) {
    const end = endMs === undefined ? 'never ended' : `ended ${endMs.toFixed(1)}`;
    lines.push([startMs, `send ${value} to ${log}: ${outcome} ${offset ?? ''} ${error ?? ''} (${end})`]);
  }
  for (const { reader, generation, log, offset, value, atMs } of history.reads) {
    lines.push([
      atMs,
      `read ${log} ${offset} ${value} by ${reader}${generation < 0 ? '' : `, generation ${generation}`}`,
    ]);
  }
  for (const { group, generation, member, logs, atMs } of history.assignments) {
    lines.push([atMs, `${group} generation ${generation}: ${member} has ${logs.join(', ') || 'nothing'}`]);
  }
  for (const { group, generation, member, log, offset, startMs, outcome } of history.commits) {
    lines.push([startMs, `${group} generation ${generation}: ${member} commits ${log} ${offset}: ${outcome}`]);
  }
  return lines;
}

function printLines(lines: Line[]): void {
  lines.sort(([a], [b]) => a - b);
  for (const [ms, text] of lines) console.log(`${ms.toFixed(1).padStart(10)} ${text}`);
}
