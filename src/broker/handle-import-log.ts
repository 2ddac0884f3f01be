import { checkLog } from '../log/check-log.js';
import { type LogToRepair, repairKept } from '../log/repair-log.js';
import { errorFields, KafkaError, NO_ERROR } from '../protocol/errors.js';
import type { ImportLogRequest, ImportLogResponse } from '../protocol/requests.js';
import { batchesIn, lastOffsetOf, verifyBatch } from '../record/batch-header.js';
import type { BatchHeader } from '../record/record.js';
import { wholeBatchesEnd } from '../record/whole-batches.js';
import { publishStaged, SealedSegmentBuilder } from '../storage/sealed-segment.js';
import { unknownPartition } from './handle-metadata.js';
import type { IntegrityContext } from './integrity-handlers.js';

/** Whether the log takes the batches, and where they are to begin. */
interface Fit {
  readonly baseOffset: number;
  readonly isEmpty: boolean;
}

/**
 * Puts batches behind the sealed part of a log that has nothing else, as one sealed segment more: they keep their bytes,
 * their offsets, and what offsets compaction took out between them.
 */
export async function handleImportLog(
  context: IntegrityContext,
  request: ImportLogRequest,
): Promise<ImportLogResponse> {
  const { store, leaderEpoch, controller, recovery } = context;
  const { name, partitionIndex, records } = request;
  try {
    const topic = controller.image.topics.get(name);
    const partition = topic?.partitions[partitionIndex];
    if (topic === undefined || partition === undefined) throw unknownPartition(topic, name, partitionIndex);
    const headers = soundHeaders(records, `${name}-${partitionIndex}`);
    const { log } = partition;
    const raw = await store.raw();
    await context.open(topic, partition);
    await context.exclusively(topic, partition, async () => {
      const last = headers.at(-1);
      if (last !== undefined) {
        const { baseOffset, isEmpty } = await fitOf(context, request, {
          log,
          first: headers[0]!,
          rows: await raw.chunks(log, 0, 1),
        });
        if (isEmpty) await store.deleteBefore(log, baseOffset, leaderEpoch); // the log begins here
        const range = { log, baseOffset, nextOffset: lastOffsetOf(last) + 1 };
        const builder = new SealedSegmentBuilder(log, baseOffset);
        builder.add(records);
        const staged = await store.stageSealed(builder.finish(range.nextOffset), leaderEpoch);
        await publishStaged(store, { ...range, sealed: [staged], segments: [] }, leaderEpoch);
      }
      if (!request.isLast) return;
      const target: LogToRepair = { store, raw, log, leaderEpoch, recovery: recovery(), signal: undefined };
      await repairKept(target, await checkLog(target));
    });
    const { logStartOffset, logEndOffset } = await context.open(topic, partition);
    return { ...NO_ERROR, logStartOffset, logEndOffset };
  } catch (error) {
    return { ...errorFields(error), logStartOffset: -1, logEndOffset: -1 };
  }
}

/** @throws KafkaError CORRUPT_MESSAGE: no whole, sound v2 batches. INVALID_RECORD: 64-bit fields beyond the safe integers. */
function soundHeaders(records: Uint8Array, name: string): BatchHeader[] {
  const end = wholeBatchesEnd(records);
  if (end < records.byteLength) {
    const found = `${records.byteLength - end} bytes of one at the end`;
    throw new KafkaError('CORRUPT_MESSAGE', `${name}: expected whole batches, found ${found}`);
  }
  const headers = [...batchesIn(records)].map(({ at }) => verifyBatch(records, at));
  for (const [index, { baseOffset }] of headers.entries()) {
    const before = headers[index - 1];
    const least = before === undefined ? 0 : lastOffsetOf(before) + 1;
    if (baseOffset >= least) continue;
    throw new KafkaError('INVALID_RECORD', `${name}: expected a batch from offset ${least} on, found ${baseOffset}`);
  }
  return headers;
}

async function fitOf(
  { store }: IntegrityContext,
  { name, partitionIndex, isFirst }: ImportLogRequest,
  { log, first, rows }: { readonly log: number; readonly first: BatchHeader; readonly rows: readonly unknown[] },
): Promise<Fit> {
  const { logStartOffset, lastOffset, sealedEndOffset } = await store.ends(log);
  const endOffset = (lastOffset ?? logStartOffset - 1) + 1;
  const place = `${name}-${partitionIndex}`;
  if (rows.length > 0 || endOffset > Math.max(sealedEndOffset, logStartOffset)) {
    throw new KafkaError('INVALID_REQUEST', `${place}: expected an empty partition to import into, found records`);
  }
  const isEmpty = lastOffset === undefined;
  if (isEmpty && first.baseOffset >= logStartOffset) return { baseOffset: first.baseOffset, isEmpty };
  const isNext = isFirst ? first.baseOffset === endOffset : first.baseOffset >= endOffset;
  if (!isEmpty && isNext) return { baseOffset: endOffset, isEmpty };
  const expected = `a batch at offset ${endOffset}, where the log ends`;
  throw new KafkaError('INVALID_REQUEST', `${place}: expected ${expected}, found one at ${first.baseOffset}`);
}
