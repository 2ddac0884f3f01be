import { type CheckedLog, checkLogInUse } from '../log/check-log.js';
import type { GroupCommit } from '../log/group-commit.js';
import type { PartitionLog } from '../log/partition-log.js';
import { type LogToRepair, repairLog } from '../log/repair-log.js';
import { errorFields, NO_ERROR } from '../protocol/errors.js';
import type { CheckLogsRequest, CheckLogsResponse, LogFinding, Requests, Responses } from '../protocol/requests.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogId, LogStore } from '../storage/log-store.js';
import type { RawLogStore } from '../storage/raw-log-store.js';
import type { BrokerParts } from './broker-parts.js';
import type { Controller } from './controller.js';
import { handleImportLog } from './handle-import-log.js';
import { unknownPartition } from './handle-metadata.js';
import type { MetadataImage, PartitionImage, TopicImage } from './metadata-image.js';
import { METADATA_LOG } from './metadata-records.js';
import type { PartitionLogs } from './partition-logs.js';

/** The partition that stands for logs which no topic has. */
const NO_PARTITION = -1;

/** What looks for damage, mends it, and brings whole logs in and out. */
export type IntegrityApi = 'CheckLogs' | 'ImportLog';

/** What a broker gives. */
export interface IntegrityOptions {
  readonly store: LogStore;
  readonly leaderEpoch: number;
  readonly clock: Clock;
  readonly parts: Pick<BrokerParts, 'transactions'>;
  readonly producerIdExpirationMs: number;
  readonly controller: Controller;
  readonly groupCommit: GroupCommit;
  readonly logs: PartitionLogs;
  readonly newLog: (topic: TopicImage, partition: PartitionImage) => Promise<PartitionLog>;
  readonly verifyLeading: () => Promise<void>;
}

export interface IntegrityContext
  extends Pick<IntegrityOptions, 'store' | 'leaderEpoch' | 'controller' | 'verifyLeading'> {
  readonly recovery: () => LogToRepair['recovery'];
  readonly open: (topic: TopicImage, partition: PartitionImage) => Promise<PartitionLog>;
  /** Does `work` while nothing of the log is rewritten or deleted; appends go on. */
  readonly undisturbed: <T>(log: LogId, work: () => Promise<T>) => Promise<T>;
  /** Does `work` while the log is closed. */
  readonly exclusively: <T>(topic: TopicImage, partition: PartitionImage, work: () => Promise<T>) => Promise<T>;
}

type Handlers = {
  readonly [A in IntegrityApi]: (request: Requests[A], signal?: AbortSignal) => Promise<Responses[A]>;
};

export function integrityHandlers(options: IntegrityOptions): Handlers {
  const { store, leaderEpoch, controller, verifyLeading } = options;
  const { clock, parts, producerIdExpirationMs, groupCommit, logs, newLog } = options;
  const open: IntegrityContext['open'] = (topic, partition) => logs.get(partition.log, () => newLog(topic, partition));
  const { transactions } = parts;
  const context: IntegrityContext = {
    ...{ store, leaderEpoch, controller, verifyLeading, open },
    recovery: () => ({ nowMs: clock.wallMs(), transactions, producerIdExpirationMs }),
    undisturbed: async (log, work) => {
      const known = await logs.known(log)?.catch(() => undefined); // nobody rewrites what is not open
      return known === undefined ? work() : known.inside.turns.run(work);
    },
    exclusively: async (topic, partition, work) => {
      const { log } = partition;
      const result = await logs.exclusively(log, work, () => newLog(topic, partition));
      const { logStartOffset, logEndOffset: highWatermark } = await open(topic, partition);
      const rewritten = { chunks: [], rewrittenOffset: highWatermark };
      groupCommit.announce({ log, leaderEpoch, logStartOffset, highWatermark, ...rewritten });
      return result;
    },
  };
  return {
    CheckLogs: (request, signal) => checkLogs(context, request, signal),
    ImportLog: (request) => handleImportLog(context, request),
  };
}

type PartitionCheck = CheckLogsResponse['topics'][number]['partitions'][number];
type Checked = Omit<PartitionCheck, 'errorCode' | 'errorMessage' | 'partitionIndex'>;

/** One log after another: no more than one is held in memory, and in parts. */
async function checkLogs(
  context: IntegrityContext,
  request: CheckLogsRequest,
  signal: AbortSignal | undefined,
): Promise<CheckLogsResponse> {
  const topics: CheckLogsResponse['topics'][number][] = [];
  for (const { name, partitions } of request.topics) {
    const checked: PartitionCheck[] = [];
    for (const partitionIndex of partitions) {
      try {
        const found = await checkPartition(context, { name, partitionIndex, repair: request.repair }, signal);
        checked.push({ partitionIndex, ...NO_ERROR, ...found });
      } catch (error) {
        signal?.throwIfAborted();
        checked.push({ partitionIndex, ...errorFields(error), checkedBytes: 0, findings: [], gaps: [], keyIds: [] });
      }
    }
    topics.push({ name, partitions: checked });
  }
  const isClean = ({ errorCode, findings }: PartitionCheck): boolean => errorCode === 0 && findings.length === 0;
  // Whoever slept does not know what others have made since.
  if (!topics.every(({ partitions }) => partitions.every(isClean))) await context.verifyLeading();
  return { topics };
}

interface WantedCheck {
  readonly name: string;
  readonly partitionIndex: number;
  readonly repair: boolean;
}

async function checkPartition(
  context: IntegrityContext,
  wanted: WantedCheck,
  signal: AbortSignal | undefined,
): Promise<Checked> {
  const { name, partitionIndex, repair } = wanted;
  const { store, leaderEpoch, controller } = context;
  const raw = await store.raw();
  if (name === '' && partitionIndex === NO_PARTITION) return checkOrphans(context, raw, repair);
  const target = (log: LogId): LogToRepair => ({ store, raw, log, leaderEpoch, recovery: context.recovery(), signal });
  if (name === '') {
    const exclusively = <T>(work: () => Promise<T>): Promise<T> => controller.exclusively(work);
    return checkOne(context, target(METADATA_LOG), repair, exclusively);
  }
  const topic = controller.image.topics.get(name);
  const partition = topic?.partitions[partitionIndex];
  if (topic === undefined || partition === undefined) throw unknownPartition(topic, name, partitionIndex);
  const checked = await checkOne(context, target(partition.log), repair, async (work) => {
    // What only the memory of an open log knows of the damaged part, such as its producers, is kept.
    await (await context.open(topic, partition)).writeCheckpoint();
    return context.exclusively(topic, partition, work);
  });
  const { log } = controller.image.topics.get(name)?.partitions[partitionIndex] ?? {};
  // Its rows went with the topic while they were looked at: what counts is what has its name by now, if anything.
  return log === partition.log ? checked : checkPartition(context, wanted, signal);
}

async function checkOne(
  { undisturbed }: IntegrityContext,
  target: LogToRepair,
  repair: boolean,
  exclusively: <T>(work: () => Promise<T>) => Promise<T>,
): Promise<Checked> {
  await target.store.drain(target.log, target.leaderEpoch); // rows that a check has begun with stay as they are
  const found = await undisturbed(target.log, () => checkLogInUse(target));
  if (!repair || found.findings.length === 0) return answer(target.log, found, undefined);
  return answer(target.log, found, await exclusively(() => repairLog(target)));
}

/** What a second check does not find any more is repaired; what it alone finds is said, too. */
function answer(
  log: LogId,
  { findings, gaps, checkedBytes, keyIds }: CheckedLog,
  after: CheckedLog | undefined,
): Checked {
  const left = after?.findings ?? findings;
  const isLeft = (finding: LogFinding): boolean => left.some((other) => isSame(other, finding));
  const isNew = (finding: LogFinding): boolean => !findings.some((other) => isSame(other, finding));
  const known = findings.map((finding) => ({ ...finding, log, repaired: !isLeft(finding) }));
  const fresh = left.filter(isNew).map((finding) => ({ ...finding, log, repaired: false }));
  return { checkedBytes, gaps: after?.gaps ?? gaps, keyIds: [...keyIds], findings: [...known, ...fresh] };
}

function isSame(a: LogFinding, b: LogFinding): boolean {
  return a.kind === b.kind && a.fromOffset === b.fromOffset && a.nextOffset === b.nextOffset;
}

/** Logs that no topic has and that do not wait for their deletion. Dropped only where no record of a topic can be lost. */
async function checkOrphans(context: IntegrityContext, raw: RawLogStore, repair: boolean): Promise<Checked> {
  const { store, leaderEpoch, controller, recovery } = context;
  const metadata = await checkLogInUse({ store, raw, log: METADATA_LOG, recovery: recovery(), signal: undefined });
  const isWhole = metadata.gaps.length === 0 && metadata.findings.length === 0;
  const known = knownLogs(controller.image);
  const findings: Checked['findings'][number][] = [];
  for (const log of await raw.logs()) {
    // Known before: it may be deleted by now. Known since: it was made meanwhile.
    if (known.has(log) || knownLogs(controller.image).has(log)) continue;
    const { logStartOffset, lastOffset = logStartOffset - 1 } = await store.ends(log);
    const repaired = repair && isWhole && log < controller.image.nextLogId && !knownLogs(controller.image).has(log);
    if (repaired) await store.deleteLog(log, leaderEpoch);
    const why = isWhole ? '' : '; it is kept, for the metadata log is damaged';
    const detail = `expected a topic that has log ${log}, found none${why}`;
    findings.push({ kind: 'orphan', log, fromOffset: logStartOffset, nextOffset: lastOffset + 1, detail, repaired });
  }
  return { checkedBytes: 0, gaps: [], keyIds: [], findings };
}

function knownLogs({ topics, removedLogs }: MetadataImage): Set<LogId> {
  const logs = new Set([METADATA_LOG, ...removedLogs]);
  for (const { partitions } of topics.values()) for (const { log } of partitions) logs.add(log);
  return logs;
}
