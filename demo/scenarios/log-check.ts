import type { Kafka } from '../../src/index.js';
import type { Dataset } from './datasets.js';
import { scan } from './scan.js';

export interface CheckResult {
  readonly topic: string;
  readonly records: number;
  /** Rows of the dataset that are in the log. */
  readonly rows: number;
  readonly duplicates: number;
  /** Records whose value or key is not that of their row. */
  readonly altered: number;
  /** Records that lie behind a later row of the same key. */
  readonly misplaced: number;
}

/** Reads the whole log and compares it with the dataset, record by record. */
export async function checkLog<Row>(kafka: Kafka, dataset: Dataset<Row>): Promise<CheckResult> {
  const rows = await dataset.load();
  const seen = new Set<number>();
  const lastRow = new Map<string, number>();
  let altered = 0;
  let misplaced = 0;
  const records = await scan(kafka, dataset.topic, ({ key, value, headers }) => {
    const number = Number(headers['row']?.toString());
    const row = rows[number];
    const keyText = key?.toString() ?? null;
    if (row === undefined || value?.toString() !== JSON.stringify(row) || keyText !== dataset.keyOf(row)) altered++;
    if (keyText !== null) {
      if (number < (lastRow.get(keyText) ?? -1)) misplaced++;
      lastRow.set(keyText, number);
    }
    seen.add(number);
  });
  return { topic: dataset.topic, records, rows: seen.size, duplicates: records - seen.size, altered, misplaced };
}
