import { errorOf } from '../protocol/errors.js';
import type { CheckLogsOptions, LogCheck, LogCheckFinding } from './api/integrity.js';
import type { Connection } from './connection.js';

/** A log of some gigabytes, read through once, or in a repair some times. */
const CHECK_TIMEOUT_MS = 10 * 60_000;
/** How the protocol names the logs that no topic has: see `CheckLogsRequest`. */
const CLUSTER: readonly { readonly topic: string; readonly partition: number }[] = [
  { topic: '', partition: 0 },
  { topic: '', partition: -1 },
];

/** See `Admin.checkLogs`. One request for each log, so that it can be stopped in between and a new leader goes on. */
export async function checkLogs(
  connection: Connection,
  topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
  { topics: wanted, repair = false, signal, onProgress }: CheckLogsOptions,
): Promise<LogCheck> {
  const partitions = topics.flatMap(({ topic, partitions: each }) => each.map((partition) => ({ topic, partition })));
  const logs = wanted === undefined ? [...CLUSTER, ...partitions] : partitions;
  const findings: LogCheckFinding[] = [];
  const gaps: LogCheck['gaps'][number][] = [];
  const keyIds = new Map<string, readonly string[]>();
  let checkedBytes = 0;
  for (const [index, { topic, partition }] of logs.entries()) {
    onProgress?.({ checkedLogs: index, logs: logs.length, checkedBytes });
    const request = { topics: [{ name: topic, partitions: [partition] }], repair };
    const response = await connection.request('CheckLogs', request, { signal, timeoutMs: CHECK_TIMEOUT_MS });
    for (const answer of response.topics.flatMap((each) => each.partitions)) {
      const error = errorOf(answer);
      if (error?.type === 'UNKNOWN_TOPIC_OR_PARTITION') continue; // deleted meanwhile
      if (error !== undefined) throw error;
      checkedBytes += answer.checkedBytes;
      const known = keyIds.get(topic) ?? [];
      if (answer.keyIds.length > 0) keyIds.set(topic, [...new Set([...known, ...answer.keyIds])]);
      const place = topic === '' ? { topic: null, partition: null } : { topic, partition };
      for (const { fromOffset, nextOffset, ...finding } of answer.findings) {
        findings.push({ ...place, ...finding, fromOffset: String(fromOffset), nextOffset: String(nextOffset) });
      }
      for (const { fromOffset, nextOffset } of answer.gaps) {
        gaps.push({ ...place, fromOffset: String(fromOffset), nextOffset: String(nextOffset) });
      }
    }
  }
  onProgress?.({ checkedLogs: logs.length, logs: logs.length, checkedBytes });
  return { checkedLogs: logs.length, checkedBytes, findings, gaps, keyIds: Object.fromEntries(keyIds) };
}
