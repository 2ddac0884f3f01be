import { expect, test } from 'vitest';
import { checkLog } from '../../src/log/check-log.js';
import { type CompactedLog, LogCleaner } from '../../src/log/compaction/log-cleaner.js';
import { GroupCommit } from '../../src/log/group-commit.js';
import { deleteRecordsBefore, dropOldest, enforceRetention } from '../../src/log/log-upkeep.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import { repairLog } from '../../src/log/repair-log.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import { ignoreKafkaError } from '../../src/protocol/errors.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { attributesOf } from '../../src/record/batch-attributes.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { calling } from './calling.js';
import { batch, type Leader, LOG, leader, manualClock, transactions } from './harness.js';

const NEVER = new AbortController().signal;
const CONFIG = {
  'cleanup.policy': 'compact,delete',
  'segment.bytes': '1024',
  'min.cleanable.dirty.ratio': '0.01',
  'retention.bytes': '6000',
};

type Led = Pick<Leader, 'store' | 'leaderEpoch'> & { readonly log: PartitionLog };

const WORKS: Readonly<Record<string, (led: Led) => Promise<unknown>>> = {
  seals: ({ log }) => sealClosedSegments(log, NEVER),
  cleans: ({ log, store, leaderEpoch }) => {
    const config = parseTopicConfig(CONFIG);
    const logs: CompactedLog[] = [{ log: LOG, config: () => config, open: async () => log }];
    return new LogCleaner({ store, leaderEpoch, clock: manualClock() }).cleanAll(logs, NEVER);
  },
  'seals and cleans': async (led) => [await WORKS['seals']!(led), await WORKS['cleans']!(led)],
  cuts: ({ log }) => deleteRecordsBefore(log, 50),
  retains: ({ log }) => enforceRetention(log),
  'makes room': ({ log }) => dropOldest(log),
  repairs: async ({ store, leaderEpoch }) =>
    repairLog({
      store,
      raw: await store.raw(),
      log: LOG,
      recovery: { nowMs: 0, transactions },
      signal: undefined,
      leaderEpoch,
    }),
  writes: async ({ log }) => {
    for (let i = 0; i < 12; i++) await put(log, `late ${i}`);
  },
};

// Goal: a leader that was deposed without knowing it changes nothing any more, and leaves nothing that keeps the next one from
// doing the same. Method: at each of the calls to the store that a work makes, one by one, another leader takes over and does
// all of it; then the first goes on.
test.each(Object.keys(WORKS))('a deposed leader that still %s harms nothing', async (work) => {
  for (const next of ['seals and cleans', 'cuts']) {
    for (let calls = 1, isDone = false; !isDone; calls++) {
      const disk = new MemoryDisk();
      const led = await leader(disk);
      let left = Number.POSITIVE_INFINITY;
      let second: Led | undefined;
      const store: LogStore = calling(led.store, async () => {
        if (--left !== 0) return;
        const other = await leader(disk);
        second = { ...other, log: await other.open({ topicConfig: CONFIG }) };
        for (let i = 0; i < 8; i++) await put(second.log, `key ${i % 3}`);
        await WORKS[next]!(second);
      });
      const { leaderEpoch, clock } = led;
      const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted: () => {} });
      const config = parseTopicConfig(CONFIG);
      const options = {
        store,
        groupCommit,
        leaderEpoch,
        clock,
        log: LOG,
        name: 't-0',
        config: () => config,
        transactions,
      };
      const log = await PartitionLog.open(options);
      for (let i = 0; i < 90; i++) await put(log, `key ${i % 7}`);
      left = calls;
      await WORKS[work]!({ store, leaderEpoch, log }).catch(ignoreKafkaError);
      isDone = left > 0;
      left = Number.POSITIVE_INFINITY;
      const last: Led = second ?? { store: led.store, leaderEpoch, log };
      await put(last.log, 'the last');
      await WORKS['seals and cleans']!(last);
      const raw = await last.store.raw();
      const recovery = { nowMs: 0, transactions };
      const found = await checkLog({ store: last.store, raw, log: LOG, recovery, signal: undefined });
      expect({ next, calls, findings: found.findings, gaps: found.gaps }).toEqual({
        next,
        calls,
        findings: [],
        gaps: [],
      });
      expect(last.log.logEndOffset).toBe(found.state.nextOffset);
    }
  }
});

// Goal: what is written while a leader looks after the older part of its log is known to its successor like all else: where the
// log ends, what is decided, and the sequences of producers. Method: batches of two producers, one in transactions, are
// appended at each of the calls to the store that a work makes, one by one; then another leader opens the log.
test.each(['seals', 'seals and cleans', 'cuts', 'retains', 'makes room'])(
  'what is written while its leader %s is known to the next',
  async (work) => {
    for (let calls = 1, isDone = false; !isDone; calls++) {
      const type = calls % 2 === 0 ? ('commit' as const) : ('abort' as const);
      const disk = new MemoryDisk();
      const led = await leader(disk);
      let left = Number.POSITIVE_INFINITY;
      let changed: Promise<unknown> | undefined;
      const store: LogStore = calling(led.store, async () => {
        if (--left !== 0) return;
        changed = write();
        await Promise.race([changed, new Promise((resolve) => setImmediate(resolve))]);
      });
      const { leaderEpoch, clock } = led;
      const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted: () => {} });
      const config = parseTopicConfig(CONFIG);
      const log = await PartitionLog.open({
        ...{ store, groupCommit, leaderEpoch, clock, log: LOG, name: 't-0', transactions },
        config: () => config,
      });
      let sequence = 0;
      const marker = { type, producerId: 2, producerEpoch: 0, coordinatorEpoch: 0 };
      const write = async (): Promise<void> => {
        for (let i = 0; i < 6; i++) {
          await log.append(data(1, sequence), 'client');
          await log.append(data(2, sequence++), 'client');
          if (i === 3) await log.appendEndMarker(marker);
        }
      };
      for (let i = 0; i < 5; i++) await write();
      left = calls;
      await WORKS[work]!({ store, leaderEpoch, log }).catch(ignoreKafkaError);
      isDone = left > 0;
      left = Number.POSITIVE_INFINITY;
      await changed;
      const { logStartOffset, logEndOffset, lastStableOffset } = log;
      const next = await leader(disk);
      const successor = await next.open({ topicConfig: CONFIG });
      expect({ calls, ...endsOf(successor) }).toEqual({ calls, logStartOffset, logEndOffset, lastStableOffset });
      const again = await successor.append(data(1, sequence - 1), 'client');
      expect(again.duplicate).toBe(true);
      await successor.appendEndMarker({ ...marker, type: 'abort' });
      expect(successor.lastStableOffset).toBe(successor.logEndOffset);
      const raw = await next.store.raw();
      const target = { store: next.store, raw, log: LOG, recovery: { nowMs: 0, transactions }, signal: undefined };
      const { findings } = await checkLog(target);
      expect({ calls, findings: findings.filter(({ kind }) => kind !== 'leftover') }).toEqual({
        calls,
        findings: [],
      });
    }
  },
);

/** Of producer 2 in a transaction. */
function data(producerId: 1 | 2, baseSequence: number): Uint8Array {
  const attributes = attributesOf({ isTransactional: producerId === 2 });
  const record = { key: `key ${baseSequence % 5}`, value: `value ${baseSequence}`.padEnd(150, '.') };
  return batch([record], { producerId, producerEpoch: 0, baseSequence, attributes });
}

function endsOf({ logStartOffset, logEndOffset, lastStableOffset }: PartitionLog): object {
  return { logStartOffset, logEndOffset, lastStableOffset };
}

function put(log: PartitionLog, key: string): Promise<unknown> {
  return log.append(batch([{ key, value: `${key} at ${log.logEndOffset}`.padEnd(60, '.') }]), 'client');
}
