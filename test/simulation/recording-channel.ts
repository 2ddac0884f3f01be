import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../../src/protocol/requests.js';
import { type History, logText } from './history.js';

/** What one client last learnt of its group. */
export interface Membership {
  generation: number;
  memberId: string;
}

export interface Recorder {
  readonly channel: RequestChannel;
  readonly membership: Membership;
}

/** A client's channel that writes what passes into the history: assignments, commits, the bounds of logs. */
export function recordingChannel(
  inner: RequestChannel,
  client: string,
  history: History,
  nowMs: () => number,
): Recorder {
  const membership: Membership = { generation: -1, memberId: '' };
  const lastMarks = new Map<string, string>();

  const recordFetch = (response: Responses['Fetch']): void => {
    for (const { topic, partitions } of response.responses) {
      for (const { partitionIndex, errorCode, logStartOffset, highWatermark, lastStableOffset } of partitions) {
        if (errorCode !== 0) continue;
        const log = logText(topic, partitionIndex);
        const mark = `${logStartOffset} ${highWatermark} ${lastStableOffset}`;
        if (lastMarks.get(log) === mark) continue;
        lastMarks.set(log, mark);
        const marks = { logStartOffset, highWatermark, lastStableOffset };
        history.watermarks.push({ reader: client, log, ...marks, atMs: nowMs() });
      }
    }
  };

  const recordSync = (request: Requests['SyncGroup'], response: Responses['SyncGroup']): void => {
    if (response.errorCode !== 0) return;
    membership.generation = request.generationId;
    membership.memberId = request.memberId;
    history.assignments.push({
      group: request.groupId,
      generation: request.generationId,
      member: request.memberId,
      logs: assignedLogs(response.assignment),
      atMs: nowMs(),
    });
  };

  const recordCommit = (
    request: Requests['OffsetCommit'],
    response: Responses['OffsetCommit'] | undefined,
    startMs: number,
  ): void => {
    for (const { name, partitions } of request.topics) {
      const answered = response?.topics.find((topic) => topic.name === name);
      for (const { partitionIndex, committedOffset } of partitions) {
        const code = answered?.partitions.find((partition) => partition.partitionIndex === partitionIndex)?.errorCode;
        history.commits.push({
          group: request.groupId,
          generation: request.generationIdOrMemberEpoch,
          member: request.memberId,
          log: logText(name, partitionIndex),
          offset: committedOffset,
          startMs,
          endMs: nowMs(),
          outcome: code === undefined ? 'unknown' : code === 0 ? 'ok' : 'failed',
        });
      }
    }
  };

  const send: RequestChannel['send'] = async <A extends ApiName>(
    api: A,
    request: Requests[A],
    options?: Parameters<RequestChannel['send']>[2],
  ): Promise<Responses[A]> => {
    const startMs = nowMs();
    try {
      const response = await inner.send(api, request, options);
      if (api === 'Fetch') recordFetch(response as Responses['Fetch']);
      if (api === 'SyncGroup') recordSync(request as Requests['SyncGroup'], response as Responses['SyncGroup']);
      if (api === 'OffsetCommit') {
        recordCommit(request as Requests['OffsetCommit'], response as Responses['OffsetCommit'], startMs);
      }
      return response;
    } catch (error) {
      if (api === 'OffsetCommit') recordCommit(request as Requests['OffsetCommit'], undefined, startMs);
      throw error;
    }
  };
  return { channel: { send, close: async () => {} }, membership };
}

/** Kafka's ConsumerProtocolAssignment: version, then per topic its name and partitions, then user data. */
function assignedLogs(assignment: Uint8Array): string[] {
  if (assignment.byteLength === 0) return [];
  const view = new DataView(assignment.buffer, assignment.byteOffset, assignment.byteLength);
  const logs: string[] = [];
  let at = 6;
  for (let topics = view.getInt32(2); topics > 0; topics--) {
    const length = view.getInt16(at);
    const topic = new TextDecoder().decode(assignment.subarray(at + 2, at + 2 + length));
    at += 2 + length;
    const count = view.getInt32(at);
    at += 4;
    for (let i = 0; i < count; i++, at += 4) logs.push(logText(topic, view.getInt32(at)));
  }
  return logs;
}
