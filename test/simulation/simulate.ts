import { describeViolations, type FaultKind, runScenario } from './scenario.js';

/**
 * npm run simulate -- --seed N [--count N] [--faults kill,freeze] [--verbose] [--trace]
 *
 * Runs the scenario of a seed (or of `count` seeds from there on) and prints what the checkers found; with `--verbose`
 * the whole history. Ends with 1 if something was found.
 */
export async function simulate(args: readonly string[]): Promise<number> {
  const value = (name: string): string | undefined => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
  const first = Number(value('--seed') ?? 0);
  const count = Number(value('--count') ?? 1);
  const faults = value('--faults')?.split(',') as FaultKind[] | undefined;
  const verbose = args.includes('--verbose');
  const trace = args.includes('--trace');
  let bad = 0;
  for (let seed = first; seed < first + count; seed++) {
    const begin = performance.now();
    const result = await runScenario({ seed, trace, ...(faults && { faults }) });
    const { history, violations, stepCount, virtualMs } = result;
    if (trace) console.log(result.trace.join('\n'));
    if (verbose) printHistory(result);
    const acknowledged = history.sends.filter((send) => send.outcome === 'ok').length;
    const ms = (performance.now() - begin).toFixed(0);
    const text = `${history.sends.length} sends (${acknowledged} acknowledged), ${history.reads.length} reads`;
    const faultsText = result.faults.join(', ');
    console.log(
      `seed ${seed} (${faultsText}): ${text}; ${stepCount} steps, ${(virtualMs / 1000).toFixed(1)} s in ${ms} ms`,
    );
    if (violations.length > 0) {
      bad++;
      console.log(describeViolations(result));
    }
  }
  if (count > 1) console.log(`${bad} of ${count} seeds failed`);
  return bad === 0 ? 0 : 1;
}

function printHistory({ history }: Awaited<ReturnType<typeof runScenario>>): void {
  const lines: [number, string][] = [];
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
  lines.sort(([a], [b]) => a - b);
  for (const [ms, text] of lines) console.log(`${ms.toFixed(1).padStart(10)} ${text}`);
}
