import type { Flight } from './datasets.js';

export interface Tally {
  readonly flights: number;
  /** Minutes, summed: a mean is computed only to be shown, so that sums stay exact. */
  readonly delay: number;
}

export interface FlightStatistics {
  readonly flights: number;
  readonly byAirport: Readonly<Record<string, Tally>>;
  /** 24 of them, by hour of departure. */
  readonly byHour: readonly Tally[];
}

const NOTHING: Tally = { flights: 0, delay: 0 };

export const NO_FLIGHTS: FlightStatistics = {
  flights: 0,
  byAirport: {},
  byHour: Array.from({ length: 24 }, () => NOTHING),
};

/** The statistics after more flights. */
export function withFlights(statistics: FlightStatistics, flights: readonly Flight[]): FlightStatistics {
  const byAirport = { ...statistics.byAirport };
  const byHour = [...statistics.byHour];
  for (const { origin, date, delay } of flights) {
    const hour = Number(date.slice(11, 13));
    byAirport[origin] = sum(byAirport[origin], { flights: 1, delay });
    byHour[hour] = sum(byHour[hour], { flights: 1, delay });
  }
  return { flights: statistics.flights + flights.length, byAirport, byHour };
}

/** Statistics of disjoint sets of flights, of all of them together. */
export function merged(parts: Iterable<FlightStatistics>): FlightStatistics {
  let flights = 0;
  const byAirport: Record<string, Tally> = {};
  const byHour = [...NO_FLIGHTS.byHour];
  for (const part of parts) {
    flights += part.flights;
    for (const [airport, tally] of Object.entries(part.byAirport)) byAirport[airport] = sum(byAirport[airport], tally);
    for (const [hour, tally] of part.byHour.entries()) byHour[hour] = sum(byHour[hour], tally);
  }
  return { flights, byAirport, byHour };
}

export function sameStatistics(a: FlightStatistics, b: FlightStatistics): boolean {
  const airports = Object.keys(a.byAirport);
  return (
    a.flights === b.flights &&
    airports.length === Object.keys(b.byAirport).length &&
    airports.every((airport) => sameTally(a.byAirport[airport], b.byAirport[airport])) &&
    a.byHour.every((tally, hour) => sameTally(tally, b.byHour[hour]))
  );
}

function sum(a: Tally = NOTHING, b: Tally = NOTHING): Tally {
  return { flights: a.flights + b.flights, delay: a.delay + b.delay };
}

function sameTally(a: Tally = NOTHING, b: Tally = NOTHING): boolean {
  return a.flights === b.flights && a.delay === b.delay;
}
