import type { SegmentRow } from '../../storage/log-store.js';

/** Offsets inside one segment of Kafka's are 32-bit differences from its base. */
const MAX_OFFSET_SPAN = 0x7fff_ffff;

/**
 * Neighbouring segments that are cleaned into one: as many as are together within `segment.bytes` before the cleaning
 * (Kafka's groupSegmentsBySize). So a log that is cleaned often does not come to consist of tiny segments.
 */
export function segmentGroups<S extends Pick<SegmentRow, 'baseOffset' | 'nextOffset' | 'byteCount'>>(
  segments: readonly S[],
  segmentBytes: number,
): [S, ...S[]][] {
  const groups: [S, ...S[]][] = [];
  let bytes = 0;
  for (const segment of segments) {
    const group = groups.at(-1);
    bytes += segment.byteCount;
    const fits =
      group !== undefined && bytes <= segmentBytes && segment.nextOffset - 1 - group[0].baseOffset <= MAX_OFFSET_SPAN;
    if (fits) group.push(segment);
    else {
      groups.push([segment]);
      bytes = segment.byteCount;
    }
  }
  return groups;
}
