import { expect, test } from 'vitest';
import { GroupCommit } from '../../src/log/group-commit.js';
import { deleteRecordsBefore, enforceRetention } from '../../src/log/log-upkeep.js';
import type { LogAdvance } from '../../src/log/log-view.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import type { Random } from '../../src/runtime/runtime.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { batch, LOG, MemoryDisk, manualClock, readAll, sequenced, transactions } from './harness.js';

const ROUNDS = 25;
const SEEDS = Array.from({ length: 60 }, (_, seed) => seed);
const CONFIG = parseTopicConfig({ 'segment.bytes': '3000', 'max.message.bytes': '3000', 'retention.bytes': '6000' });

// Goal: whatever the disk and the leaders do, what was acknowledged stays where it was said to be, offsets are dense,
// an idempotent producer that retries gets each value in exactly once and in order, the high watermark never falls.
// Method: three idempotent producers with up to five batches in flight that retry in order, and a plain one that does
// not, over a disk that aborts one commit in ten. Leaders die in mid-flight, or are deposed and go on as zombies.
test.each(SEEDS)('acknowledged records stay, nothing is stored twice, offsets are dense (seed %i)', async (seed) => {
  const random = seededRandom(seed);
  let faulty = true;
  const disk = new MemoryDisk({ aborts: () => faulty && random.below(10) === 0 });
  const producers = [1, 2, 3].map((id) => new RetryingProducer(id, random));
  const acknowledged = new Map<number, string>();
  const advances: LogAdvance[] = [];
  const deletes = seed % 2 === 1;
  let host = await electHost(disk, random, advances);

  for (let round = 0; round <= ROUNDS; round++) {
    faulty = round < ROUNDS;
    const sends = producers.flatMap((producer) => producer.send(host, faulty));
    sends.push(...plainSends(host, round, random));
    const deletion = deletes && faulty && random.below(3) === 0 ? host.delete(random) : undefined;
    const left = faulty && random.below(4) === 0;
    if (left && random.below(2) === 0) host.kill();
    if (left) host = await electHost(disk, random, advances); // the old one, where it lives, is a zombie now
    for (const { values, baseOffset } of await Promise.all(sends)) {
      if (baseOffset === undefined) continue;
      for (const [i, value] of values.entries()) {
        expect(acknowledged.get(baseOffset + i) ?? value).toBe(value);
        acknowledged.set(baseOffset + i, value);
      }
    }
    await deletion;
  }

  const records = await readAll(host.store);
  const values = records.map(({ value }) => value);
  const { logStartOffset } = await host.store.ends(LOG);
  for (const [offset, value] of acknowledged) {
    if (offset >= logStartOffset) expect(values[offset - logStartOffset]).toBe(value);
  }
  for (const producer of producers) {
    expect(producer.pending).toEqual([]);
    const stored = values.filter((value) => value.startsWith(`p${producer.id}-`));
    if (deletes) expect(stored).toEqual(producer.sent.slice(producer.sent.length - stored.length));
    else expect(stored).toEqual(producer.sent);
  }
  let [highWatermark, logStart] = [0, 0];
  for (const advance of advances) {
    expect(advance.highWatermark).toBeGreaterThanOrEqual(highWatermark);
    expect(advance.logStartOffset).toBeGreaterThanOrEqual(logStart);
    ({ highWatermark, logStartOffset: logStart } = advance);
  }
  expect(highWatermark).toBe(logStartOffset + records.length);
});

interface Sent {
  readonly values: readonly string[];
  /** undefined: refused, or unknown. */
  readonly baseOffset: number | undefined;
}

interface TestHost {
  readonly store: MemoryLogStore;
  append(records: Uint8Array): Promise<number | undefined>;
  delete(random: Random): Promise<void>;
  kill(): void;
}

async function electHost(disk: MemoryDisk, random: Random, advances: LogAdvance[]): Promise<TestHost> {
  const pause = async (): Promise<void> => {
    for (let turns = random.below(8); turns > 0; turns--) await Promise.resolve();
  };
  const store = await MemoryLogStore.open(disk, { newIncarnationId: 'test', delay: pause });
  const { epoch } = await store.leadership();
  const leaderEpoch = (await store.claimLeadership(epoch, 'host', 0)) ?? -1;
  const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted: (all) => advances.push(...all) });
  const options = {
    store,
    groupCommit,
    leaderEpoch,
    log: LOG,
    clock: manualClock(),
    config: () => CONFIG,
    name: 'orders-0',
    transactions,
  };
  const log = await PartitionLog.open(options);
  const { promise: died, resolve: die } = Promise.withResolvers<undefined>();
  return {
    store,
    append: (records) =>
      Promise.race([died, log.append(records, 'client').then(({ baseOffset }) => baseOffset, retriable)]),
    delete: (random) => {
      const offset = Math.max(0, log.logEndOffset - random.below(40));
      const deletion = random.below(2) === 0 ? deleteRecordsBefore(log, offset) : enforceRetention(log);
      return Promise.race([died, deletion.then(() => undefined, retriable)]);
    },
    kill: () => {
      store.kill();
      die(undefined);
    },
  };
}

/** Keeps up to five batches in flight; what is not acknowledged goes again, in order, before anything new. */
class RetryingProducer {
  readonly id: number;
  readonly sent: string[] = [];
  readonly #random: Random;
  #unacknowledged: { readonly sequence: number; readonly values: readonly string[] }[] = [];

  constructor(id: number, random: Random) {
    this.id = id;
    this.#random = random;
  }

  get pending(): readonly object[] {
    return this.#unacknowledged;
  }

  send(host: TestHost, withNew: boolean): Promise<Sent>[] {
    while (withNew && this.#unacknowledged.length < 5 && this.#random.below(3) > 0) {
      const sequence = this.sent.length;
      const values = Array.from({ length: 1 + this.#random.below(3) }, (_, i) => `p${this.id}-${sequence + i}`);
      this.sent.push(...values);
      this.#unacknowledged.push({ sequence, values });
    }
    const repeated = this.#random.below(5) === 0 ? this.#unacknowledged.slice(0, 1) : [];
    return [...this.#unacknowledged, ...repeated].map(async (pending) => {
      const { sequence, values } = pending;
      const baseOffset = await host.append(sequenced(sequence, values, { id: this.id, epoch: 0 }));
      if (baseOffset !== undefined) this.#unacknowledged = this.#unacknowledged.filter((other) => other !== pending);
      return { values, baseOffset };
    });
  }
}

function plainSends(host: TestHost, round: number, random: Random): Promise<Sent>[] {
  return Array.from({ length: random.below(4) }, async (_, i) => {
    const values = [`plain-${round}-${i}`];
    return { values, baseOffset: await host.append(batch(values)) };
  });
}

/** What a client would retry; out of order, too, for the batch before it failed and goes again first. */
function retriable(error: unknown): undefined {
  const expected = ['KAFKA_STORAGE_ERROR', 'NOT_LEADER_OR_FOLLOWER', 'OUT_OF_ORDER_SEQUENCE_NUMBER'];
  if (!(error instanceof KafkaError) || !expected.includes(error.type)) throw error;
}
