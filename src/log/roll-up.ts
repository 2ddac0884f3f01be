import { BATCH_HEADER_BYTES, readBatchHeader } from '../record/batch-header.js';
import { canMerge, isMergeable, mergeBatches } from '../record/merge-batches.js';
import { isSound, type StoredBatch } from './rewrite-segments.js';

/** What a merged batch holds at most, or little more: as much as a batch of a producer that writes in bulk. */
const MERGED_BYTES = 60 * 1024;
/** So much a record grows at most within some thousand others and a quarter of an hour: longer deltas, a longer length. */
const GROWTH_BYTES = 4;

/**
 * Joins the tiny batches of a log that was written a record at a time, so that it reads like one that was written in
 * bulk; see `canMerge`. What is not sound is passed on as it is, so that whoever reads it still sees that.
 */
export async function* rollUp(batches: AsyncIterable<readonly StoredBatch[]>): AsyncIterable<readonly StoredBatch[]> {
  let run: StoredBatch[] = [];
  let runBytes = BATCH_HEADER_BYTES;
  const endRun = (): StoredBatch[] => {
    const ended = run;
    run = [];
    runBytes = BATCH_HEADER_BYTES;
    return ended.length < 2 ? ended : [merged(ended)];
  };
  const follows = (batch: StoredBatch): boolean => {
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined) return true;
    return runBytes + mergedSize(batch) <= MERGED_BYTES && canMerge(first.header, last.header, batch.header);
  };
  for await (const group of batches) {
    const done: StoredBatch[] = [];
    for (const batch of group) {
      const mergeable = batch.bytes.length < MERGED_BYTES && isMergeable(batch.header) && isSound(batch);
      if (!mergeable || !follows(batch)) done.push(...endRun());
      if (mergeable) {
        run.push(batch);
        runBytes += mergedSize(batch);
      } else {
        done.push(batch);
      }
    }
    if (done.length > 0) yield done;
  }
  yield endRun();
}

/** What it adds to a merged batch: its head is not needed any more. */
function mergedSize({ header, bytes }: StoredBatch): number {
  return bytes.length - BATCH_HEADER_BYTES + header.recordCount * GROWTH_BYTES;
}

function merged(run: readonly StoredBatch[]): StoredBatch {
  const bytes = mergeBatches(run.map((batch) => batch.bytes));
  return { header: readBatchHeader(bytes), bytes };
}
