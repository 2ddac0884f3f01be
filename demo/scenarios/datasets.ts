import flights20kUrl from '../../node_modules/vega-datasets/data/flights-20k.json?url';
import flights200kUrl from '../../node_modules/vega-datasets/data/flights-200k.json?url';

/** One US flight of early 2001. `date` is local time, `delay` in minutes, early ones negative. */
export interface Flight {
  readonly date: string;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

/** As above, of the larger set: `time` is the hour of departure with its fraction. */
export interface BriefFlight {
  readonly delay: number;
  readonly distance: number;
  readonly time: number;
}

/** Real data, and how its rows become records. The header `row` carries a row's number, so that any tab can resume. */
export interface Dataset<Row = unknown> {
  readonly topic: string;
  readonly file: string;
  readonly rowCount: number;
  readonly partitionCount: number;
  /** Rows in the order in which they are sent. */
  load(): Promise<readonly Row[]>;
  keyOf(row: Row): string | null;
  timestampOf(row: Row): number | undefined;
}

export const FLIGHTS: Dataset<Flight> = {
  topic: 'flights',
  file: 'flights-20k.json',
  rowCount: 20_000,
  partitionCount: 4,
  load: once(async () => {
    const rows = await fetchRows<Flight>(flights20kUrl);
    return rows.toSorted((a, b) => (a.date < b.date ? -1 : a.date > b.date ? 1 : 0));
  }),
  keyOf: (flight) => flight.origin,
  timestampOf: (flight) => Date.parse(`${flight.date.replaceAll('/', '-').replace(' ', 'T')}Z`),
};

export const BRIEF_FLIGHTS: Dataset<BriefFlight> = {
  topic: 'flights-200k',
  file: 'flights-200k.json',
  rowCount: 200_000,
  partitionCount: 4,
  load: once(() => fetchRows<BriefFlight>(flights200kUrl)),
  keyOf: () => null,
  timestampOf: () => undefined,
};

async function fetchRows<Row>(url: string): Promise<readonly Row[]> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: expected data, found HTTP status ${response.status}`);
  return (await response.json()) as readonly Row[];
}

function once<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load();
    return loading;
  };
}
