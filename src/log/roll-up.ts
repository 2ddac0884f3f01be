import { readBatchHeader } from '../record/batch-header.js';
import { canMerge, isMergeable, mergeBatches } from '../record/merge-batches.js';
import { isSound, type StoredBatch } from './rewrite-segments.js';

/** What a merged batch holds at most. */
const MERGED_BYTES = 60 * 1024;

/**
 * Joins the tiny batches of a log that was written a record at a time, so that it reads like one that was written in
 * bulk; see `canMerge`. What is not sound is passed on as it is, so that whoever reads it still sees that.
 */
export async function* rollUp(batches: AsyncIterable<readonly StoredBatch[]>): AsyncIterable<readonly StoredBatch[]> {
  let run: StoredBatch[] = [];
  let runBytes = 0;
  const endRun = (): StoredBatch[] => {
    const ended = run;
    run = [];
    runBytes = 0;
    return ended.length < 2 ? ended : [merged(ended)];
  };
  const follows = ({ header, bytes }: StoredBatch): boolean => {
    const [first, last] = [run[0], run.at(-1)];
    if (first === undefined || last === undefined) return true;
    return runBytes + bytes.length <= MERGED_BYTES && canMerge(first.header, last.header, header);
  };
  for await (const group of batches) {
    const done: StoredBatch[] = [];
    for (const batch of group) {
      const mergeable = batch.bytes.length < MERGED_BYTES && isMergeable(batch.header) && isSound(batch);
      if (!mergeable || !follows(batch)) done.push(...endRun());
      if (mergeable) {
        run.push(batch);
        runBytes += batch.bytes.length;
      } else {
        done.push(batch);
      }
    }
    if (done.length > 0) yield done;
  }
  yield endRun();
}

function merged(run: readonly StoredBatch[]): StoredBatch {
  const bytes = mergeBatches(run.map((batch) => batch.bytes));
  return { header: readBatchHeader(bytes), bytes };
}
