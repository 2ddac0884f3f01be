import 'fake-indexeddb/auto';
import { beforeAll, describe, expect, test } from 'vitest';
import { TailCaches } from '../../src/cluster/tail-cache.js';
import type { BatchKeys } from '../../src/log/batch-keys.js';
import { checkLog } from '../../src/log/check-log.js';
import { type CompactedLog, LogCleaner } from '../../src/log/compaction/log-cleaner.js';
import { GroupCommit } from '../../src/log/group-commit.js';
import { batchKeys } from '../../src/log/key-rings.js';
import { PartitionLog } from '../../src/log/partition-log.js';
import { rotateSealedSegments } from '../../src/log/rotate-segments.js';
import { sealClosedSegments } from '../../src/log/segment-sealer.js';
import type { EncryptionKeys } from '../../src/protocol/encryption-keys.js';
import { parseTopicConfig } from '../../src/protocol/topic-config.js';
import { compressBatch, decodeBatch } from '../../src/record/batch-compression.js';
import { encryptBatch, encryptionKeyId, isEncrypted } from '../../src/record/batch-encryption.js';
import { batchesIn, lastOffsetOf, verifyBatch } from '../../src/record/batch-header.js';
import { CompressionTypes } from '../../src/record/compression-types.js';
import type { BatchHeader } from '../../src/record/record.js';
import { openAesGcm, sealAesGcm } from '../../src/runtime/aes-gcm.js';
import { IdbLogStore } from '../../src/storage/idb-log-store.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { present } from '../../src/util/assert.js';
import { batch, errorOf, LOG, manualClock, sequenced, transactional, transactions } from './harness.js';

const NEVER = new AbortController().signal;
const SMALL = { 'segment.bytes': '1024' };
const COMPACT = { ...SMALL, 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0.01' };

let old: CryptoKey;
let fresh: CryptoKey;
/** Of the application before, during and after the rotation. */
let before: EncryptionKeys;
let during: EncryptionKeys;
let after: EncryptionKeys;

function newKey(usages: KeyUsage[] = ['encrypt', 'decrypt']): Promise<CryptoKey> {
  return crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, usages) as Promise<CryptoKey>;
}

beforeAll(async () => {
  [old, fresh] = [await newKey(), await newKey()];
  before = { keyId: 'old', keys: { old } };
  during = { keyId: 'fresh', keys: { old, fresh } };
  after = { keyId: 'fresh', keys: { fresh } };
});

/** What a client of these keys sends. */
function encrypted(clear: Uint8Array, { keyId, keys }: EncryptionKeys): Promise<Uint8Array> {
  const key = present(keys[keyId], 'there is a current key');
  return encryptBatch(clear, 0, {
    keyId,
    seal: async (_, content) => sealAesGcm(key, content),
    open: async (_, content) => openAesGcm(key, content),
  });
}

interface Stored {
  readonly header: BatchHeader;
  readonly keyId: string | undefined;
  /** Key and value, by offset; undefined: cannot be opened. */
  readonly records: readonly (readonly [offset: number, timestampMs: number, text: string])[] | undefined;
}

/** Every batch of the log, its checksum verified, opened with `keys` alone. */
async function stored(store: LogStore, keys: EncryptionKeys): Promise<Stored[]> {
  const opener = batchKeys([keys]);
  const found: Stored[] = [];
  const { logStartOffset, lastOffset = -1 } = await store.ends(LOG);
  for (let next = logStartOffset; next <= lastOffset; ) {
    const from = next;
    for (const chunk of await store.read(LOG, next, 4096)) {
      for (const { at } of batchesIn(chunk)) {
        const header = verifyBatch(chunk, at);
        if (lastOffsetOf(header) < next) continue;
        const clear = isEncrypted(header) ? (await opener.open(chunk, at))?.clear : chunk.slice(at);
        const records = clear && (await decodeBatch(clear)).map(recordText);
        found.push({ header, keyId: encryptionKeyId(chunk, at), records });
        next = lastOffsetOf(header) + 1;
      }
    }
    if (next === from) throw new Error(`nothing at offset ${next} of ${lastOffset}`);
  }
  return found;
}

function recordText({ offset, timestampMs, key, value }: Awaited<ReturnType<typeof decodeBatch>>[number]) {
  return [offset, timestampMs, `${key} ${value}`] as const;
}

function closedOnly(batches: readonly Stored[], endOffset: number): Stored[] {
  return batches.filter(({ header }) => header.baseOffset < endOffset);
}

let databases = 0;

const STORES: Readonly<Record<string, () => Promise<LogStore>>> = {
  memory: () => MemoryLogStore.open(new MemoryDisk(), { newIncarnationId: 'test' }),
  IndexedDB: async () => {
    const clock = { ...manualClock(), sleep: () => new Promise<never>(() => {}) }; // no watchdog bites
    const clusterName = `rotation-${++databases}`;
    return IdbLogStore.open({ clusterName, brokerId: 1, clock, newIncarnationId: 'test' });
  },
};

/** One leader and a log over a store; its keys are those of the last `give`. */
async function led(newStore: () => Promise<LogStore>, topicConfig: Readonly<Record<string, string>>) {
  const store = await newStore();
  const clock = manualClock();
  const { epoch } = await store.leadership();
  const leaderEpoch = (await store.claimLeadership(epoch, 'host', 0)) ?? -1;
  const tails = new TailCaches({ monotonicMs: () => 0 });
  const groupCommit = new GroupCommit({
    ...{ store, leaderEpoch },
    onCommitted: (advances) => {
      for (const advance of advances) tails.take(advance);
    },
  });
  const config = parseTopicConfig(topicConfig);
  let keys: BatchKeys | undefined;
  const log = await PartitionLog.open({
    ...{ store, groupCommit, leaderEpoch, clock, log: LOG, name: 'letters-0', config: () => config, transactions },
    batchKeys: async () => keys,
  });
  const cleaner = new LogCleaner({ store, leaderEpoch, clock, batchKeys: async () => keys });
  const compacted: CompactedLog = { log: LOG, config: () => config, open: async () => log };
  return {
    store,
    log,
    clock,
    tails,
    give: (...rings: EncryptionKeys[]): BatchKeys => (keys = batchKeys(rings)),
    clean: () => cleaner.cleanAll([compacted], NEVER),
    closedEnd: async () => (await store.segments(LOG)).at(-1)?.nextOffset ?? 0,
    findings: async () => {
      const recovery = { nowMs: clock.nowMs, transactions };
      const { findings } = await checkLog({ store, raw: await store.raw(), log: LOG, recovery, signal: undefined });
      return findings;
    },
  };
}

describe.each(Object.entries(STORES))('over %s', (_name, newStore) => {
  test('sealing brings closed segments under the key in use: nothing else of a batch changes', async () => {
    const { store, log, give, closedEnd, findings } = await led(newStore, SMALL);
    for (let i = 0; (await closedEnd()) < 12; i++) {
      const clear = sequenced(i, [`value ${i}`]);
      const packed = i % 3 === 0 ? await compressBatch(clear, 0, CompressionTypes.GZIP) : clear;
      await log.append(i % 5 === 4 ? clear : await encrypted(packed, before), 'client');
    }
    const was = await stored(store, before);
    await sealClosedSegments(log, NEVER, give(during));
    const end = await closedEnd();
    const is = closedOnly(await stored(store, after), end);
    expect(new Set(is.map(({ keyId }) => keyId))).toEqual(new Set(['fresh', undefined]));
    expect(is.flatMap(({ records }) => records)).toEqual(closedOnly(was, end).flatMap(({ records }) => records));
    const unhashed = (batches: readonly Stored[]) =>
      batches.filter(({ keyId }) => keyId).map(({ header }) => ({ ...header, crc: 0, sizeInBytes: 0 }));
    expect(unhashed(is)).toEqual(unhashed(closedOnly(was, end)));
    expect(await findings()).toEqual([]);
    await store.close();
  });

  test('what was sealed under an old key is rewritten, once', async () => {
    const { store, log, give, closedEnd, findings } = await led(newStore, SMALL);
    for (let i = 0; (await closedEnd()) < 12; i++) {
      await log.append(await encrypted(sequenced(i, [`value ${i}`]), before), 'client');
    }
    await sealClosedSegments(log, NEVER, give(before));
    const was = await stored(store, before);
    const sealedBefore = await store.sealedSegments(LOG);
    await rotateSealedSegments(log, give(during), NEVER);
    const end = await closedEnd();
    const is = closedOnly(await stored(store, after), end);
    expect(new Set(is.map(({ keyId }) => keyId))).toEqual(new Set(['fresh']));
    expect(is.flatMap(({ records }) => records)).toEqual(closedOnly(was, end).flatMap(({ records }) => records));
    const sealed = await store.sealedSegments(LOG);
    expect(sealed.map(({ baseOffset }) => baseOffset)).toEqual(sealedBefore.map(({ baseOffset }) => baseOffset));
    expect(await findings()).toEqual([]);
    await rotateSealedSegments(log, give(during), NEVER);
    expect(await store.sealedSegments(LOG)).toEqual(sealed);
    await store.close();
  });

  // Whoever hears in a check that an old key is not in use any more drops it: no copy may be under it then.
  test.each(['sealed', 'sealed anew'])('what is %s under another key is read no more as it was', async (when) => {
    const { store, log, tails, give, closedEnd } = await led(newStore, SMALL);
    for (let i = 0; (await closedEnd()) < 24; i++) {
      await log.append(await encrypted(sequenced(i, [`value ${i}`]), before), 'client');
    }
    if (when === 'sealed anew') await sealClosedSegments(log, NEVER, give(before));
    const keys = give(during);
    let isDone = false;
    const rotate = when === 'sealed' ? sealClosedSegments(log, NEVER, keys) : rotateSealedSegments(log, keys, NEVER);
    const rotated = rotate.finally(() => (isDone = true));
    let looks = 0;
    for (; !isDone; looks++) {
      await log.inside.turns.run(async () => {
        const isFresh = ({ keyId }: Stored) => keyId === 'fresh';
        for (const { header } of (await stored(store, after)).filter(isFresh)) {
          expect(tails.holds(LOG, header.baseOffset)).toBe(false);
        }
      });
    }
    await rotated;
    expect(looks).toBeGreaterThan(2);
    expect(tails.holds(LOG, await closedEnd())).toBe(true);
    await store.close();
  });

  test('a duplicate is recognised after its batch was encrypted anew, and sequences go on', async () => {
    const { store, log, give, closedEnd } = await led(newStore, SMALL);
    const sent: Uint8Array[] = [];
    for (let i = 0; (await closedEnd()) < 8; i++) {
      sent.push(await encrypted(sequenced(i, [`value ${i}`]), before));
      await log.append(present(sent[i], 'it was just made').slice(), 'client');
    }
    await sealClosedSegments(log, NEVER, give(during));
    const last = sent.length - 1;
    const { epoch } = await store.leadership();
    const leaderEpoch = (await store.claimLeadership(epoch, 'next', 0)) ?? -1;
    const groupCommit = new GroupCommit({ store, leaderEpoch, onCommitted: () => {} });
    const options = {
      store,
      groupCommit,
      leaderEpoch,
      clock: manualClock(),
      log: LOG,
      name: 'letters-0',
      transactions,
    };
    const successor = await PartitionLog.open({ ...options, config: () => parseTopicConfig(SMALL) });
    for (const sequence of [last - 1, last]) {
      const again = present(sent[sequence], 'it was sent');
      expect(await successor.append(again, 'client')).toMatchObject({ duplicate: true, baseOffset: sequence });
    }
    const next = await encrypted(sequenced(sent.length, ['next']), after);
    expect(await successor.append(next, 'client')).toMatchObject({ duplicate: false, baseOffset: sent.length });
    const early = await encrypted(sequenced(sent.length + 5, ['too far']), after);
    expect(await errorOf(successor.append(early, 'client'))).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
    await store.close();
  });

  test('a compacted topic keeps the last record of each key, encrypted, under the key in use', async () => {
    const { store, log, give, clean, closedEnd, findings } = await led(newStore, COMPACT);
    give(during);
    for (let i = 0; i < 90; i++) {
      const clear = batch([
        { key: `key-${i % 5}`, value: `value-${i}`, timestampMs: i },
        { key: `key-${(i + 1) % 5}`, value: i === 80 ? null : `other-${i}`, timestampMs: i + 1 },
      ]);
      const packed = i % 2 === 0 ? await compressBatch(clear, 0, CompressionTypes.GZIP) : clear;
      await log.append(await encrypted(packed, i < 60 ? before : during), 'client');
    }
    const was = (await stored(store, during)).flatMap(({ records }) => records ?? []);
    await clean();
    const end = await closedEnd();
    const batches = await stored(store, after);
    const is = batches.flatMap(({ records }) => present(records, 'every batch is under the key in use'));
    expect(new Set(batches.map(({ keyId, header }) => (header.recordCount > 0 ? keyId : 'fresh')))).toEqual(
      new Set(['fresh']),
    );
    const lastOf = (records: readonly (readonly [number, number, string])[]) =>
      new Map(records.map((record) => [record[2].split(' ')[0], record]));
    expect(lastOf(is)).toEqual(lastOf(was));
    expect(is.filter(([offset]) => offset < end).length).toBeLessThanOrEqual(6); // five keys, one tombstone
    expect(await findings()).toEqual([]);
    await store.close();
  });

  test('a pass without the key keeps encrypted batches whole', async () => {
    const { store, log, give, clean } = await led(newStore, COMPACT);
    give(during);
    for (let i = 0; i < 30; i++) {
      await log.append(await encrypted(batch([{ key: 'k', value: `value-${i}`, timestampMs: i }]), before), 'client');
    }
    const was = await stored(store, before);
    give(after);
    await clean();
    await sealClosedSegments(log, NEVER, give(after));
    await rotateSealedSegments(log, give({ keyId: 'fresh', keys: { old: await newKey(), fresh } }), NEVER);
    expect(await stored(store, before)).toEqual(was);
    await store.close();
  });
});

const memory = present(STORES['memory'], 'it is named so');

test('a compacted log refuses what it cannot look into, and records without a key', async () => {
  const { log, give } = await led(memory, COMPACT);
  const good = await encrypted(batch([{ key: 'k', value: 'v' }]), before);
  await expect(log.append(good.slice(), 'client')).rejects.toMatchObject({
    type: 'INVALID_RECORD',
    message: expect.stringContaining('a key that the leading tab has not'),
  });
  give(after);
  expect(await errorOf(log.append(good.slice(), 'client'))).toBe('INVALID_RECORD');
  give(during);
  expect(await log.append(good.slice(), 'client')).toMatchObject({ baseOffset: 0 });
  const keyless = await encrypted(batch([{ key: 'k', value: 'v' }, { value: 'v' }]), before);
  await expect(log.append(keyless, 'client')).rejects.toMatchObject({
    type: 'INVALID_RECORD',
    message: expect.stringContaining('none in record 1'),
  });
});

test('of the timestamps of an encrypted batch its head has to do where it cannot be opened, else each is looked at', async () => {
  const { log, give, clock } = await led(memory, { 'message.timestamp.before.max.ms': '5000' });
  const records = batch([{ timestampMs: clock.nowMs }, { timestampMs: clock.nowMs - 5001 }]);
  const sent = await encrypted(records, before);
  expect(await log.append(sent.slice(), 'client')).toMatchObject({ baseOffset: 0 });
  give(during);
  expect(await errorOf(log.append(sent.slice(), 'client'))).toBe('INVALID_TIMESTAMP');
});

test('batches of a transaction keep their head', async () => {
  const { store, log, give, closedEnd } = await led(memory, SMALL);
  for (let i = 0; (await closedEnd()) < 6; i++) {
    await log.append(await encrypted(transactional(i, [`value ${i}`]), before), 'client');
  }
  await sealClosedSegments(log, NEVER, give(during));
  const heads = (await stored(store, during)).map(({ header }) => [header.attributes, header.baseSequence]);
  const [attributes] = present(heads[0], 'there is a batch');
  expect(heads).toEqual(heads.map((_, i) => [attributes, i]));
  expect((await stored(store, during))[0]?.keyId).toBe('fresh');
});

test('a damaged batch stays damaged: rotation gives it no checksum that fits', async () => {
  const keys = batchKeys([during]);
  const { store, log, closedEnd } = await led(memory, SMALL);
  for (let i = 0; (await closedEnd()) < 6; i++) {
    await log.append(await encrypted(sequenced(i, [`value ${i}`]), before), 'client');
  }
  const read = store.read.bind(store);
  store.read = async (...range) => {
    const chunks = await read(...range);
    return chunks.map((chunk) => {
      const damaged = chunk.slice();
      const second = [...batchesIn(damaged)].find(({ header }) => header.baseOffset === 1);
      if (second) damaged[second.at + 40] = (damaged[second.at + 40] ?? 0) ^ 1; // of the greatest timestamp
      return damaged;
    });
  };
  await sealClosedSegments(log, NEVER, keys);
  store.read = read;
  const [chunk] = await store.read(LOG, 1, 0, 2);
  const at = [...batchesIn(present(chunk, 'it is there'))].find(({ header }) => header.baseOffset === 1)?.at ?? 0;
  expect(() => verifyBatch(present(chunk, 'it is there'), at)).toThrow('expected crc');
  expect(encryptionKeyId(present(chunk, 'it is there'), at)).toBe('old');
});

describe('of several key rings', () => {
  test('a batch stays in the one that opens it, of two that do in the newest', async () => {
    const other: EncryptionKeys = { keyId: 'mine', keys: { mine: await newKey() } };
    const keys = batchKeys([before, other, during]);
    expect(keys.rotates).toBe(true);
    const [mine, theirs] = [await encrypted(batch(['a']), other), await encrypted(batch(['b']), before)];
    expect(await keys.open(mine, 0)).toMatchObject({ isCurrent: true });
    const opened = present(await keys.open(theirs, 0), 'two rings open it');
    expect(opened.isCurrent).toBe(false);
    expect(encryptionKeyId(await opened.seal(opened.clear))).toBe('fresh');
    expect([keys.isOutdated(mine, 0), keys.isOutdated(theirs, 0), keys.isOutdated(batch(['c']), 0)]).toEqual([
      ...[false, true, false],
    ]);
  });

  test('another key of the same id opens nothing, and the ring that has the right one is found', async () => {
    const namesake: EncryptionKeys = { keyId: 'new', keys: { old: await newKey(), new: await newKey() } };
    const theirs = await encrypted(batch(['b']), before);
    expect(await batchKeys([namesake]).open(theirs, 0)).toBeUndefined();
    expect(await batchKeys([before, namesake]).open(theirs, 0)).toMatchObject({ isCurrent: true });
  });

  test('one whose key in use may not encrypt is left aside', async () => {
    const readOnly: EncryptionKeys = { keyId: 'fresh', keys: { old, fresh: await newKey(['decrypt']) } };
    const keys = batchKeys([readOnly]);
    expect(keys.rotates).toBe(false);
    expect(await keys.open(await encrypted(batch(['b']), before), 0)).toBeUndefined();
  });
});
