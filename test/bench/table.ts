export type ContenderId = 'ours' | 'limit' | 'dexie' | 'idb' | 'sqlite';

/** One round of one row: a figure for each contender that has it. */
export interface Round {
  readonly id: string;
  readonly payloadBytes: number;
  readonly unit: 'records/s' | 'ms' | 'ms p99' | 'MB';
  readonly round: number;
  readonly figures: Partial<Record<ContenderId, number>>;
}

export interface Row {
  readonly id: string;
  readonly payloadBytes: number;
  readonly unit: string;
  readonly ours: number;
  readonly limit: number;
  readonly peers: Partial<Record<'dexie' | 'idb' | 'sqlite', number>>;
  readonly rounds: number;
  /** Medians of the per-round ratios ours / other: for records/s more is better, for ms less. */
  readonly ratios: Partial<Record<Exclude<ContenderId, 'ours'>, number>>;
}

const OTHERS = ['limit', 'dexie', 'idb', 'sqlite'] as const;

export function rowsOf(rounds: readonly Round[]): Row[] {
  const groups = Map.groupBy(rounds, (round) => `${round.id} ${round.payloadBytes} ${round.unit}`);
  return [...groups.values()].map((group) => {
    const [{ id, payloadBytes, unit }] = group as [Round];
    const medianOf = (contender: ContenderId): number => median(group.map(({ figures }) => figures[contender]));
    const ratioTo = (other: ContenderId): number =>
      median(group.map(({ figures }) => (figures.ours ?? Number.NaN) / (figures[other] ?? Number.NaN)));
    const there = OTHERS.filter((other) => group.some(({ figures }) => figures[other] !== undefined));
    return {
      id,
      payloadBytes,
      unit,
      ours: medianOf('ours'),
      limit: medianOf('limit'),
      peers: Object.fromEntries(there.filter((other) => other !== 'limit').map((other) => [other, medianOf(other)])),
      rounds: group.length,
      ratios: Object.fromEntries(there.map((other) => [other, ratioTo(other)])),
    };
  });
}

function median(values: readonly (number | undefined)[]): number {
  const sorted = values.filter((v): v is number => v !== undefined && !Number.isNaN(v)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** A table for people; figures rounded to three digits. */
export function tableOf(rows: readonly Row[]): string {
  const head = [
    'row',
    'payload',
    'unit',
    'ours',
    'limit',
    ...OTHERS.slice(1),
    ...OTHERS.map((o) => `ours/${o}`),
    'rounds',
  ];
  const lines = rows.map((row) => [
    row.id,
    `${row.payloadBytes} B`,
    row.unit,
    figure(row.ours),
    figure(row.limit),
    ...OTHERS.slice(1).map((other) => figure(row.peers[other as 'dexie'])),
    ...OTHERS.map((other) => figure(row.ratios[other])),
    String(row.rounds),
  ]);
  const widths = head.map((title, i) => Math.max(title.length, ...lines.map((line) => (line[i] ?? '').length)));
  return [head, ...lines].map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).join('\n');
}

function figure(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–';
  if (value >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}
