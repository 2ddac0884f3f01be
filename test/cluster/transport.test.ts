import { describe, expect, test } from 'vitest';
import { inboxName } from '../../src/cluster/host-messages.js';
import { type Answer, Transport } from '../../src/cluster/transport.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { encodeBatch } from '../../src/record/encode-batch.js';
import type { SimulatedTab } from '../../src/runtime/simulated-tab.js';
import { type Faults, Simulation } from '../../src/runtime/simulation.js';
import { concatBytes } from '../../src/util/bytes.js';

const answerOf = (text: string): Answer => ({ response: { text } as never, metadataEndOffset: 0 });

interface Party {
  readonly tab: SimulatedTab;
  readonly transport: Transport;
  /** What it was asked to do, each time. */
  readonly carriedOut: string[];
  readonly requests: unknown[];
  close(): void;
}

function party(simulation: Simulation, hostId: string, workMs = 0): Party {
  const tab = simulation.tab(hostId);
  const carriedOut: string[] = [];
  const requests: unknown[] = [];
  const transport = new Transport({
    clusterName: 'c',
    hostId,
    runtime: tab.runtime,
    answer: async (_api, request, signal) => {
      const { key } = request as { key: string };
      carriedOut.push(key);
      requests.push(request);
      if (key === 'refused') throw new KafkaError('NOT_CONTROLLER', 'not me');
      await tab.runtime.clock.sleep(workMs, signal);
      return answerOf(key);
    },
  });
  const inbox = tab.runtime.channels.open(inboxName('c', hostId), (data) => transport.receive(data));
  const close = (): void => {
    transport.close();
    inbox.close();
  };
  return { tab, transport, carriedOut, requests, close };
}

const ask = (from: Party, to: string, key: string, signal?: AbortSignal): Promise<Answer> =>
  from.transport.call(to, 'FindCoordinator', { key, keyType: 0 }, signal);

function pair(faults: Partial<Faults> = {}, workMs = 0, seed = 1): { simulation: Simulation; a: Party; b: Party } {
  const simulation = new Simulation({ seed, faults });
  return { simulation, a: party(simulation, 'a'), b: party(simulation, 'b', workMs) };
}

/** The outcome of a call once the simulation has brought it about. */
async function outcome(simulation: Simulation, call: Promise<Answer>): Promise<unknown> {
  let result: unknown;
  call.then(
    (answer) => (result = (answer.response as unknown as { text: string }).text),
    (error: unknown) => (result = error instanceof KafkaError ? error.type : error),
  );
  await simulation.run({ until: () => result !== undefined, maxMs: 200_000 });
  return result;
}

describe('a call to another host', () => {
  test('is answered with what it did', async () => {
    const { simulation, a } = pair();
    expect(await outcome(simulation, ask(a, 'b', 'x'))).toBe('x');
  });

  test('fails with the error that it failed with there', async () => {
    const { simulation, a } = pair();
    expect(await outcome(simulation, ask(a, 'b', 'refused'))).toBe('NOT_CONTROLLER');
  });

  // Goal: a leader in another tab, perhaps of an earlier version, never gets a batch that it cannot check.
  test('brings batches with their checksums, whoever was to write them, and nothing else changed', async () => {
    const sealed = ['a', 'b'].map((value) => encodeBatch({ records: [{ key: null, value }], timestampMs: 1 }));
    const unsealed = sealed.map((bytes) => bytes.slice().fill(0, 17, 21));
    const partitionData = [
      { index: 0, records: concatBytes(unsealed) },
      { index: 1, records: unsealed[1]!, incarnationId: 'i' },
    ];
    const rest = { transactionalId: null, acks: -1, timeoutMs: 1000 } as const;
    const request = { ...rest, checksums: 'missing', topicData: [{ name: 't', partitionData }] } as const;
    const { simulation, a, b } = pair();
    await outcome(simulation, a.transport.call('b', 'Produce', request));
    const checked = [
      { index: 0, records: concatBytes(sealed) },
      { index: 1, records: sealed[1], incarnationId: 'i' },
    ];
    expect(b.requests).toEqual([{ ...rest, topicData: [{ name: 't', partitionData: checked }] }]);
    // What claims to have its checksums goes as it is: the leader looks.
    const given = { ...rest, topicData: [{ name: 't', partitionData: [{ index: 0, records: new Uint8Array(90) }] }] };
    await outcome(simulation, a.transport.call('b', 'Produce', given));
    expect(b.requests[1]).toEqual(given);
  });

  // Goal: at most once, and exactly once where the answer says so, whatever happens to messages.
  test('is carried out once and answered, though messages are lost, doubled and late (50 seeds)', async () => {
    for (let seed = 0; seed < 50; seed++) {
      const faults = { dropChance: 0.2, duplicateChance: 0.3, reorder: true, messageDelayMs: [1, 300] } as const;
      const { simulation, a, b } = pair(faults, 50, seed);
      const results: unknown[] = [];
      for (const key of ['x', 'y', 'z']) {
        ask(a, 'b', key).then(
          () => results.push(key),
          (error: unknown) => results.push(error),
        );
      }
      await simulation.run({ until: () => results.length === 3, maxMs: 200_000 });
      expect([...results].sort()).toEqual(['x', 'y', 'z']);
      expect([...b.carriedOut].sort()).toEqual(['x', 'y', 'z']);
    }
  });

  test('to a host that is not there times out, with the outcome unknown', async () => {
    const { simulation, a } = pair();
    expect(await outcome(simulation, ask(a, 'nobody', 'x'))).toBe('REQUEST_TIMED_OUT');
  });

  test('fails at once when the host is known to be gone', async () => {
    const { simulation, a, b } = pair({}, 10_000);
    const call = ask(a, 'b', 'x');
    call.catch(() => {});
    await simulation.run({ until: () => b.carriedOut.length === 1 });
    a.transport.fail('b', new KafkaError('NETWORK_EXCEPTION', 'b is gone'));
    const before = simulation.nowMs;
    expect(await outcome(simulation, call)).toBe('NETWORK_EXCEPTION');
    expect(simulation.nowMs).toBe(before);
  });

  test('that is cancelled ends there too', async () => {
    const { simulation, a, b } = pair({}, 60_000);
    const cancel = new AbortController();
    const call = ask(a, 'b', 'x', cancel.signal);
    call.catch(() => {});
    await simulation.run({ until: () => b.carriedOut.length === 1 });
    cancel.abort(new KafkaError('REQUEST_TIMED_OUT', 'enough'));
    expect(await outcome(simulation, call)).toBe('REQUEST_TIMED_OUT');
    await simulation.run({ maxMs: 100 });
    expect(b.tab.openTimers).toBe(0);
  });

  test('of another version of the protocol is refused by name', async () => {
    const { simulation, b } = pair();
    const old = simulation.tab('old');
    const replies: unknown[] = [];
    old.runtime.channels.open('tabstream/c/host/old', (message) => replies.push(message));
    const message = { type: 'request', api: 'FindCoordinator', request: { key: 'x' }, timeoutMs: 1 };
    old.runtime.channels.open('tabstream/c/host/b', () => {}).post({ version: 99, from: 'old', id: 1, message });
    await simulation.run({ until: () => replies.length > 0 });
    expect(replies[0]).toMatchObject({ message: { failure: { type: 'UNSUPPORTED_VERSION' } } });
    expect(b.carriedOut).toEqual([]);
  });

  test('closing fails what is in flight and leaves nothing behind', async () => {
    const { simulation, a } = pair({}, 60_000);
    const call = ask(a, 'b', 'x');
    call.catch(() => {});
    await simulation.run({ maxMs: 50 });
    a.close();
    expect(await outcome(simulation, call)).toBe('NETWORK_EXCEPTION');
    expect([a.tab.openTimers, a.tab.openChannels]).toEqual([0, 0]);
  });
});

describe('a direct line between two hosts', () => {
  /** What goes over the channels of both. */
  function overhear({ simulation, a, b }: ReturnType<typeof pair>): unknown[] {
    const heard: unknown[] = [];
    for (const { tab } of [a, b]) {
      simulation
        .tab('listener')
        .runtime.channels.open(`tabstream/c/host/${tab.name}`, (message) => heard.push(message));
    }
    return heard;
  }

  async function madeBetween({ simulation, a }: ReturnType<typeof pair>): Promise<void> {
    for (const key of ['1', '2', '3']) {
      await outcome(simulation, ask(a, 'b', key));
      await simulation.run({ maxMs: 50 });
    }
  }

  test('carries requests and answers, and the channels, for which every tab pays, carry none', async () => {
    const hosts = pair();
    await madeBetween(hosts);
    const heard = overhear(hosts);
    expect(await outcome(hosts.simulation, ask(hosts.a, 'b', 'x'))).toBe('x');
    await hosts.simulation.run({ maxMs: 50 });
    expect(heard).toEqual([]);
    expect(hosts.b.carriedOut).toEqual(['1', '2', '3', 'x']);
  });

  test('that broke in silence costs one question, and the request is carried out once', async () => {
    const hosts = pair();
    const { simulation, a, b } = hosts;
    await madeBetween(hosts);
    b.transport.forget('a'); // b slept and thinks that a is gone
    const before = simulation.nowMs;
    expect(await outcome(simulation, ask(a, 'b', 'x'))).toBe('x');
    expect(simulation.nowMs - before).toBeGreaterThan(900);
    expect(b.carriedOut.filter((key) => key === 'x')).toEqual(['x']);
    await madeBetween(hosts);
    const heard = overhear(hosts);
    expect(await outcome(simulation, ask(a, 'b', 'y'))).toBe('y');
    expect(heard).toEqual([]);
  });

  test('that breaks while an answer is under way loses none', async () => {
    const { simulation, a, b } = pair({}, 20);
    for (const key of ['1', '2', '3']) await outcome(simulation, ask(a, 'b', key));
    const call = outcome(simulation, ask(a, 'b', 'x'));
    simulation.background('break', 10, () => a.transport.forget('b'));
    expect(await call).toBe('x');
    expect(b.carriedOut.filter((key) => key === 'x')).toEqual(['x']);
  });

  test('is closed with the transport at both ends', async () => {
    const hosts = pair();
    await madeBetween(hosts);
    const { simulation, a, b } = hosts;
    expect(b.tab.openChannels).toBeGreaterThan(1);
    a.close();
    b.close();
    await simulation.run({ maxMs: 50 });
    expect([a.tab.openChannels, b.tab.openChannels]).toEqual([0, 0]);
  });
});
