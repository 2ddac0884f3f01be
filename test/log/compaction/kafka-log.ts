export interface ModelRecord {
  readonly offset: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly timestampMs: number;
}

export interface ModelBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly producerId: number;
  readonly producerEpoch: number;
  readonly isTransactional: boolean;
  /** Its record, if it still has one, has `commit` or `abort` as key. */
  readonly isControl: boolean;
  readonly deleteHorizonMs: number | undefined;
  readonly records: readonly ModelRecord[];
}

export interface ModelProducer {
  readonly id: number;
  readonly epoch: number;
  readonly isTransactional: boolean;
}

interface Segment {
  readonly baseOffset: number;
  readonly nextOffset: number;
}

interface Pass {
  readonly nowMs: number;
  readonly deleteRetentionMs: number;
  /** Keys. */
  readonly mapCapacity: number;
}

interface Aborted {
  readonly producerId: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

interface ProducerEnd {
  readonly epoch: number;
  readonly lastDataOffset: number | undefined;
  readonly openSince: number | undefined;
}

/**
 * A compacted log by Kafka's rules alone (LogCleanerManager.cleanableOffsets, Cleaner, CleanedTransactionMetadata,
 * MemoryRecords.filterTo): lists, and no bytes. Where segments begin, and that the log start moves, it is told.
 */
export class KafkaLog {
  batches: readonly ModelBatch[] = [];
  nextOffset = 0;
  /** Kafka's cleaner-offset-checkpoint. */
  cleanedOffset: number | undefined;
  #logStartOffset = 0;
  #aborted: readonly Aborted[] = [];
  readonly #producers = new Map<number, ProducerEnd>();

  append(records: readonly Omit<ModelRecord, 'offset'>[], producer: ModelProducer | undefined): void {
    const baseOffset = this.nextOffset;
    const lastOffset = baseOffset + records.length - 1;
    this.#add({
      baseOffset,
      lastOffset,
      producerId: producer?.id ?? -1,
      producerEpoch: producer?.epoch ?? -1,
      isTransactional: producer?.isTransactional ?? false,
      isControl: false,
      deleteHorizonMs: undefined,
      records: records.map((record, index) => ({ offset: baseOffset + index, ...record })),
    });
    if (producer === undefined) return;
    const openSince = this.#producers.get(producer.id)?.openSince;
    this.#producers.set(producer.id, {
      epoch: producer.epoch,
      lastDataOffset: lastOffset,
      openSince: producer.isTransactional ? (openSince ?? baseOffset) : openSince,
    });
  }

  end(marker: 'commit' | 'abort', { id: producerId, epoch }: ModelProducer, timestampMs: number): void {
    const offset = this.nextOffset;
    const records = [{ offset, key: marker, value: marker, timestampMs }];
    const [baseOffset, lastOffset] = [offset, offset];
    const head = { baseOffset, lastOffset, producerId, producerEpoch: epoch, isTransactional: true };
    this.#add({ ...head, isControl: true, deleteHorizonMs: undefined, records });
    const known = this.#producers.get(producerId);
    if (marker === 'abort' && known?.openSince !== undefined) {
      this.#aborted = [...this.#aborted, { producerId, firstOffset: known.openSince, lastOffset: offset }];
    }
    const lastDataOffset = known?.epoch === epoch ? known.lastDataOffset : undefined;
    this.#producers.set(producerId, { epoch, lastDataOffset, openSince: undefined });
  }

  /** Where a segment begins. */
  startsAt(offset: number): void {
    this.#logStartOffset = offset;
    this.batches = this.batches.filter(({ baseOffset }) => baseOffset >= offset);
    this.#aborted = this.#aborted.filter(({ lastOffset }) => lastOffset >= offset);
  }

  /** `closed`: oldest first. */
  clean(closed: readonly Segment[], { nowMs, deleteRetentionMs, mapCapacity }: Pass): void {
    const fromOffset = Math.max(this.cleanedOffset ?? 0, this.#logStartOffset);
    const dirty = closed.filter(({ nextOffset }) => nextOffset > fromOffset);
    const open = dirty.findIndex(({ nextOffset }) => nextOffset > this.#lastStableOffset);
    const cleanable = open < 0 ? dirty : dirty.slice(0, open);
    const endOffset = cleanable.at(-1)?.nextOffset;
    if (endOffset === undefined) return;

    const { offsets, latestOffset } = this.#offsetMap(cleanable, { fromOffset, endOffset, mapCapacity });
    this.cleanedOffset = latestOffset + 1;
    const passOffset = closed.findLast(({ baseOffset }) => baseOffset <= latestOffset)?.nextOffset ?? 0;
    const transactions = new Transactions(this.#aborted);
    const isRetained = (batch: ModelBatch, { offset, key, value }: ModelRecord): boolean => {
      if (offset > latestOffset) return true;
      if (key === null || offset < (offsets.get(key) ?? -1)) return false;
      return value !== null || batch.deleteHorizonMs === undefined || nowMs < batch.deleteHorizonMs;
    };
    this.batches = this.batches.flatMap((batch): ModelBatch[] => {
      if (batch.baseOffset >= passOffset) return [batch];
      const isNeedless = transactions.pass(batch);
      const isOver = batch.deleteHorizonMs !== undefined && batch.deleteHorizonMs <= nowMs;
      const isDiscarded = isNeedless && (!batch.isControl || isOver);
      const records = batch.records.filter((record) => {
        return !isDiscarded && (batch.isControl || isRetained(batch, record));
      });
      if (records.length === 0) {
        const stays = this.#isLastOfProducer(batch) || batch.lastOffset + 1 === endOffset;
        return stays ? [{ ...batch, records, deleteHorizonMs: undefined }] : [];
      }
      const wantsHorizon = records.some(({ value }) => value === null) || (isNeedless && batch.isControl);
      const horizonMs = wantsHorizon ? nowMs + deleteRetentionMs : undefined;
      return [{ ...batch, records, deleteHorizonMs: batch.deleteHorizonMs ?? horizonMs }];
    });
    const ahead = this.#aborted.filter(({ lastOffset }) => lastOffset >= passOffset);
    this.#aborted = [...transactions.retained, ...ahead];
  }

  #add(batch: ModelBatch): void {
    this.batches = [...this.batches, batch];
    this.nextOffset = batch.lastOffset + 1;
  }

  get #lastStableOffset(): number {
    const open = [...this.#producers.values()].map(({ openSince }) => openSince ?? this.nextOffset);
    return Math.max(Math.min(this.nextOffset, ...open), this.#logStartOffset);
  }

  #isLastOfProducer({ producerId, producerEpoch, lastOffset, isControl }: ModelBatch): boolean {
    const producer = this.#producers.get(producerId);
    if (producer?.lastDataOffset !== undefined) return producer.lastDataOffset === lastOffset;
    return isControl && producer?.epoch === producerEpoch;
  }

  #offsetMap(
    segments: readonly Segment[],
    part: { readonly fromOffset: number; readonly endOffset: number; readonly mapCapacity: number },
  ): { readonly offsets: ReadonlyMap<string, number>; readonly latestOffset: number } {
    const { fromOffset, endOffset, mapCapacity } = part;
    const offsets = new Map<string, number>();
    const transactions = new Transactions(
      this.#aborted.filter(({ firstOffset, lastOffset }) => lastOffset >= fromOffset && firstOffset < endOffset),
    );
    let latestOffset = fromOffset - 1;
    for (const { baseOffset, nextOffset } of segments) {
      for (const batch of this.batches) {
        if (batch.baseOffset < baseOffset || batch.baseOffset >= nextOffset || batch.lastOffset < fromOffset) continue;
        const isNeedless = transactions.pass(batch);
        for (const { offset, key } of isNeedless || batch.isControl ? [] : batch.records) {
          if (key === null || offset < fromOffset) continue;
          if (offsets.size === mapCapacity) return { offsets, latestOffset };
          offsets.set(key, offset);
          latestOffset = offset;
        }
        latestOffset = batch.lastOffset;
      }
      latestOffset = nextOffset - 1;
    }
    return { offsets, latestOffset };
  }
}

/** What a reader knows of the transactions, batch by batch from the first on. */
class Transactions {
  readonly retained: Aborted[] = [];
  readonly #ahead: Aborted[];
  readonly #aborted = new Map<number, { readonly transaction: Aborted; hasData: boolean }>();
  readonly #committed = new Set<number>();

  constructor(aborted: readonly Aborted[]) {
    this.#ahead = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Whether nobody needs the batch: aborted data, or a marker of a transaction of which no data was met. */
  pass({ lastOffset, producerId, isTransactional, isControl, records: [record] }: ModelBatch): boolean {
    while (this.#ahead[0] && this.#ahead[0].firstOffset <= lastOffset) {
      const transaction = this.#ahead.shift()!;
      if (!this.#aborted.has(transaction.producerId)) {
        this.#aborted.set(transaction.producerId, { transaction, hasData: false });
      }
    }
    const aborted = this.#aborted.get(producerId);
    if (!isControl) {
      if (!isTransactional) return false;
      if (aborted === undefined) this.#committed.add(producerId);
      else aborted.hasData = true;
      return aborted !== undefined;
    }
    if (record === undefined) return true;
    if (record.key === 'commit') return !this.#committed.delete(producerId);
    this.#aborted.delete(producerId);
    if (!aborted?.hasData) return true;
    this.retained.push(aborted.transaction);
    return false;
  }
}
