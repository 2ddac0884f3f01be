import type { BatchMetadata, ProducerEntry, ProducerSnapshot } from './producer-state.js';

/** A producer snapshot as checkpoints store it: of a batch four small numbers, because there may be many of them. */
export interface PackedProducers {
  readonly offset: number;
  readonly producers: readonly PackedProducer[];
}

interface PackedProducer extends Omit<ProducerEntry, 'batches'> {
  /** Of each batch: lastSequence, lastOffset below the snapshot's, offsetDelta, timestamp before the last one. */
  readonly batches: readonly number[];
}

const FIELDS = 4;

export function packProducers({ offset, producers }: ProducerSnapshot): PackedProducers {
  const packed = producers.map((entry) => {
    const batches = entry.batches.flatMap(({ lastSequence, lastOffset, offsetDelta, timestampMs }) => [
      lastSequence,
      offset - lastOffset,
      offsetDelta,
      entry.lastTimestampMs - timestampMs,
    ]);
    return { ...entry, batches };
  });
  return { offset, producers: packed };
}

export function unpackProducers({ offset, producers }: PackedProducers): ProducerSnapshot {
  return { offset, producers: producers.map((entry) => ({ ...entry, batches: unpackBatches(entry, offset) })) };
}

function unpackBatches({ batches, lastTimestampMs }: PackedProducer, offset: number): BatchMetadata[] {
  return Array.from({ length: batches.length / FIELDS }, (_, index) => {
    const [lastSequence, below, offsetDelta, before] = batches.slice(index * FIELDS, (index + 1) * FIELDS) as [
      number,
      number,
      number,
      number,
    ];
    return { lastSequence, lastOffset: offset - below, offsetDelta, timestampMs: lastTimestampMs - before };
  });
}
