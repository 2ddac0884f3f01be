const COUNT = new Intl.NumberFormat('en-US');

export function countText(count: number): string {
  return COUNT.format(count);
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Decimal units, three digits. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // What three digits would round up to the next unit is of the next unit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]}`;
}

export type TimeZoneChoice = 'local' | 'utc';

/** `2026-11-23 18:04:05.123`, in the zone asked for. */
export function timeText(timestampMs: number, zone: TimeZoneChoice): string {
  const date = new Date(timestampMs);
  const shown = zone === 'utc' ? date : new Date(timestampMs - date.getTimezoneOffset() * 60_000);
  if (Number.isNaN(shown.getTime())) return String(timestampMs); // the zone may lead out of what a Date can hold
  return shown.toISOString().replace('T', ' ').replace('Z', '');
}

export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
