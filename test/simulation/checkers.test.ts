import { describe, expect, test } from 'vitest';
import { KafkaError } from '../../src/protocol/errors.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../../src/protocol/requests.js';
import { batchesIn, isControl } from '../../src/record/batch-header.js';
import type { Commit, Durability, LogStore } from '../../src/storage/log-store.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { AssertionError } from '../../src/util/assert.js';
import { setInt32 } from '../../src/util/bytes.js';
import { crc32c } from '../../src/util/crc32c.js';
import { type AdminCheckId, CHECKERS, type CheckId } from './checkers.js';
import type { Sabotage } from './cluster-simulation.js';
import { newHistory } from './history.js';
import type { FaultKind } from './misfortunes.js';
import { runScenario } from './scenario.js';

const SEEDS = 40;

/** The checks that fire in some seeds under a bug that was put in on purpose; ends once all of `expected` have. */
async function caught(
  faults: readonly FaultKind[],
  sabotage: Sabotage,
  expected: readonly CheckId[],
): Promise<CheckId[]> {
  const fired = new Set<CheckId | AdminCheckId>();
  for (let seed = 0; seed < SEEDS && !expected.every((id) => fired.has(id)); seed++) {
    const { violations } = await runScenario({ seed, faults, sabotage }).catch(assertedBefore);
    for (const violation of violations) fired.add(violation.check);
  }
  return expected.filter((id) => fired.has(id));
}

/** An assertion of ours has met the bug first: another seed is to show the check. */
function assertedBefore(error: unknown): { violations: [] } {
  if (error instanceof Error && error.cause instanceof AssertionError) return { violations: [] };
  throw error;
}

type Tamper = <A extends ApiName>(
  api: A,
  request: Requests[A],
  send: (request: Requests[A]) => Promise<Responses[A]>,
) => Promise<Responses[A]>;

/** A channel that changes what passes. */
function tampered(inner: RequestChannel, tamper: Tamper): RequestChannel {
  return {
    send: (api, request, options) => tamper(api, request, (changed) => inner.send(api, changed, options)),
    close: () => inner.close(),
  };
}

/** Fetches from one offset further on than asked, now and then. */
function jumpingFetch(inner: RequestChannel, chance: () => number): RequestChannel {
  return tampered(inner, (api, request, send) => {
    if (api !== 'Fetch' || chance() > 0.05) return send(request);
    const { topics } = request as Requests['Fetch'];
    const jumped = topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map((partition) => ({ ...partition, fetchOffset: partition.fetchOffset + 1 })),
    }));
    return send({ ...request, topics: jumped } as typeof request);
  });
}

describe('bugs put in on purpose are caught', () => {
  test('P6: a host that says of what it stored that nothing was written', async () => {
    const channel: Sabotage['channel'] = (inner, _client, { random }) =>
      tampered(inner, async (api, request, send) => {
        const response = await send(request);
        if (api === 'Produce' && random.next() < 0.2)
          throw new KafkaError('KAFKA_STORAGE_ERROR', 'nothing was written');
        return response;
      });
    const producer = { idempotent: false, retry: { retries: 0 } };
    expect(await caught(['clock'], { channel, producer }, ['P6'])).toEqual(['P6']);
  });

  test('C1, C2: a store that acknowledges the writes of a deposed leader, which its successor overwrites', async () => {
    const store = (inner: LogStore): LogStore => withoutFence(inner);
    expect(await caught(['freeze', 'delay'], { store }, ['C1', 'C2'])).toEqual(['C1', 'C2']);
  });

  test('C1: a leader that takes over and does not look into the journal', async () => {
    const store: Sabotage['store'] = (inner, disk) => {
      Object.assign(disk, { journal: () => [] });
      return inner;
    };
    expect(await caught(['kill'], { store }, ['C1'])).toEqual(['C1']);
  });

  test('C3: a producer without idempotence, whose answers get lost', async () => {
    const channel: Sabotage['channel'] = (inner, _client, { random }) =>
      tampered(inner, async (api, request, send) => {
        const response = await send(request);
        if (api === 'Produce' && random.next() < 0.2) throw new KafkaError('NETWORK_EXCEPTION', 'the answer was lost');
        return response;
      });
    expect(await caught(['clock'], { channel, producer: { idempotent: false } }, ['C3'])).toEqual(['C3']);
  });

  test('C4: a producer without idempotence, whose requests arrive after it has given them up', async () => {
    const channel: Sabotage['channel'] = (inner, _client, { random, clock }) =>
      tampered(inner, async (api, request, send) => {
        if (api !== 'Produce' || random.next() > 0.3) return send(request);
        void clock.sleep(1_000).then(() => inner.send(api, request).catch(() => {})); // without the signal of the call
        throw new KafkaError('NETWORK_EXCEPTION', 'it seemed lost');
      });
    expect(await caught(['clock'], { channel, producer: { idempotent: false } }, ['C4'])).toEqual(['C4']);
  });

  test('C5: a direct reader whose fetches jump', async () => {
    const channel: Sabotage['channel'] = (inner, client, { random }) =>
      client.startsWith('reader') ? jumpingFetch(inner, () => random.next()) : inner;
    expect(await caught(['clock'], { channel }, ['C5'])).toEqual(['C5']);
  });

  test('C5: a drain that frees what it has not written', async () => {
    const store: Sabotage['store'] = (inner, disk) => {
      const { append } = MemoryDisk.prototype;
      const frees: MemoryDisk['append'] = (commit, durability) => {
        const isLost = commit.deleteBelow !== undefined;
        return append.call(disk, isLost ? { ...commit, chunks: [] } : commit, durability);
      };
      Object.assign(disk, { append: frees });
      return inner;
    };
    expect(await caught(['clock'], { store }, ['C5'])).toEqual(['C5']);
  });

  test('C6: group members whose fetches jump', async () => {
    const channel: Sabotage['channel'] = (inner, client, { random }) =>
      client.startsWith('member') ? jumpingFetch(inner, () => random.next()) : inner;
    expect(await caught(['clock'], { channel }, ['C6'])).toEqual(['C6']);
  });

  test('C7: a group leader that gives everybody the same partitions', async () => {
    const channel: Sabotage['channel'] = (inner) =>
      tampered(inner, (api, request, send) => {
        if (api !== 'SyncGroup') return send(request);
        const { assignments } = request as Requests['SyncGroup'];
        const same = assignments.map((each) => ({ ...each, assignment: assignments[0]!.assignment }));
        return send({ ...request, assignments: same } as typeof request);
      });
    expect(await caught(['clock'], { channel }, ['C7'])).toEqual(['C7']);
  });

  test('C8: a coordinator that takes commits of any generation', async () => {
    const channel: Sabotage['channel'] = (inner) =>
      tampered(inner, async (api, request, send) => {
        const response = await send(request);
        if (api !== 'OffsetCommit') return response;
        const topics = (response as Responses['OffsetCommit']).topics.map(({ name, partitions }) => ({
          name,
          partitions: partitions.map((partition) => ({ ...partition, errorCode: 0, errorMessage: null })),
        }));
        return { ...response, topics };
      });
    expect(await caught(['freeze'], { channel }, ['C8'])).toEqual(['C8']);
  });

  test('C9: a host that forgets which transactions were aborted', async () => {
    const channel: Sabotage['channel'] = (inner) =>
      tampered(inner, async (api, request, send) => {
        const response = await send(request);
        if (api !== 'Fetch') return response;
        const responses = (response as Responses['Fetch']).responses.map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map((partition) => ({ ...partition, abortedTransactions: [] })),
        }));
        return { ...response, responses };
      });
    expect(await caught(['clock'], { channel }, ['C9'])).toEqual(['C9']);
  });

  test('C9: a consumer that reads what is not decided', async () => {
    const channel: Sabotage['channel'] = (inner) =>
      tampered(inner, (api, request, send) =>
        api === 'Fetch'
          ? send({ ...(request as Requests['Fetch']), isolationLevel: 0 } as typeof request)
          : send(request),
      );
    expect(await caught(['clock'], { channel }, ['C9'])).toEqual(['C9']);
  });

  test('C13: a disk that keeps no markers', async () => {
    expect(await caught(['clock'], { store: withoutMarkers }, ['C13'])).toEqual(['C13']);
  });

  test('C16: a view that falls back', async () => {
    const channel: Sabotage['channel'] = (inner, _client, { random }) =>
      tampered(inner, async (api, request, send) => {
        const response = await send(request);
        if (api !== 'Fetch' || random.next() < 0.9) return response;
        const responses = (response as Responses['Fetch']).responses.map(({ topic, partitions }) => ({
          topic,
          partitions: partitions.map((partition) => ({ ...partition, highWatermark: 0 })),
        }));
        return { ...response, responses };
      });
    expect(await caught(['clock'], { channel }, ['C16'])).toEqual(['C16']);
  });

  test('C19: a coordinator that never lets anybody join', async () => {
    const channel: Sabotage['channel'] = (inner, _client, { clock }) =>
      tampered(inner, async (api, request, send) => {
        if (api !== 'JoinGroup') return send(request);
        await clock.sleep(5_000);
        throw new KafkaError('REQUEST_TIMED_OUT', 'no answer');
      });
    expect(await caught(['clock'], { channel }, ['C19'])).toEqual(['C19']);
  });

  test('C20: a client that leaves a timer behind', async () => {
    const channel: Sabotage['channel'] = (inner, _client, { clock }) =>
      tampered(inner, (api, request, send) => {
        if (api === 'InitProducerId') void clock.sleep(3_600_000);
        return send(request);
      });
    expect(await caught(['clock'], { channel }, ['C20'])).toEqual(['C20']);
  });
});

/** What would happen to the rows of a deposed leader without the comparison of epochs inside the IDB transaction. */
function withoutFence(store: LogStore): LogStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') {
        return async (...append: Parameters<LogStore['append']>): Promise<void> => {
          await target.append(...append).catch((error: unknown) => {
            if (!(error instanceof KafkaError) || error.type !== 'FENCED_LEADER_EPOCH') throw error;
          });
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/**
 * What is written of a control batch is one of as many bytes that ends no transaction: it names no producer. It is sound,
 * or it would count as damage.
 */
function withoutMarkers(store: LogStore): LogStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') {
        return (commit: Commit, ...rest: [Durability]): Promise<void> => {
          for (const { bytes } of commit.chunks) {
            for (const { header, at } of batchesIn(bytes)) {
              if (!isControl(header)) continue;
              bytes.set(NO_PRODUCER, at + PRODUCER_ID_AT);
              setInt32(bytes, at + CRC_AT, crc32c(bytes, at + CRC_AT + 4, at + header.sizeInBytes) | 0);
            }
          }
          return target.append(commit, ...rest);
        };
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** In a batch. */
const CRC_AT = 17;
const PRODUCER_ID_AT = 43;
const NO_PRODUCER = new Uint8Array(8).fill(0xff);

// A member may learn the same assignment of the same generation twice, the second time after a later generation went on.
test.each([
  { what: 'jumps', assignedAtMs: [0], found: 1 },
  { what: 'begins anew where it was assigned again', assignedAtMs: [0, 20], found: 0 },
])('C6: a member of a group that $what', ({ assignedAtMs, found }) => {
  const history = newHistory();
  const log = 'events-0';
  const of = { group: 'a', generation: 2, log };
  history.final.set(
    log,
    [0, 1, 2, 3].map((offset) => ({ offset, value: String(offset) })),
  );
  for (const atMs of assignedAtMs) history.assignments.push({ ...of, member: 'id', logs: [log], atMs });
  for (const [offset, atMs] of [
    [0, 10],
    [3, 30],
  ] as const)
    history.reads.push({ ...of, reader: 'member1 id', offset, value: String(offset), atMs });
  expect(CHECKERS.C6(history)).toHaveLength(found);
});
