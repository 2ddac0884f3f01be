import { expect, test, vi } from 'vitest';
import { GroupCoordinator } from '../../src/broker/coordinator/group-coordinator.js';
import { Deadlines } from '../../src/client/deadlines.js';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../../src/protocol/requests.js';
import type { LogStore } from '../../src/storage/log-store.js';
import { type Exchange, NO_TOPIC, operationsOn } from './admin-history.js';
import { runAdminScenario } from './admin-scenario.js';
import type { Sabotage } from './cluster-simulation.js';
import { linearizationProblem } from './linearizable.js';
import type { FaultKind } from './misfortunes.js';
import { testAdminSeeds } from './seeds.js';

testAdminSeeds(0, 60);

test('two runs of a seed are the same run', async () => {
  const [first, second] = [await runAdminScenario({ seed: 5 }), await runAdminScenario({ seed: 5 })];
  expect(first.admin.calls.length).toBeGreaterThan(50);
  expect(second.traceHash).toBe(first.traceHash);
});

test('a topic may be of a call without an answer, also where one with an answer could have made it', () => {
  const exchange = <A extends ApiName>(
    api: A,
    [startMs, endMs]: readonly [number, number],
    request: Requests[A],
    response?: object,
  ): Exchange => ({ client: 'c', api, request, startMs, endMs, response: response as Responses[A], error: undefined });
  const topic = { errorCode: 0, name: 't', topicId: 'id', partitions: [{}] };
  const config = { name: 'retention.ms', value: '5', configSource: 1 };
  const made = { name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [config] };
  const resource = { resourceType: 2, resourceName: 't' };
  const history = [
    exchange('CreateTopics', [0, 9], { timeoutMs: 1, validateOnly: false, topics: [made] }),
    exchange('Metadata', [1, 2], { topics: [{ name: 't' }], allowAutoTopicCreation: true }, { topics: [topic] }),
    exchange(
      'DescribeConfigs',
      [3, 4],
      { includeSynonyms: false, resources: [{ ...resource, configurationKeys: null }] },
      { results: [{ errorCode: 0, ...resource, configs: [config] }] },
    ),
  ];
  const operations = operationsOn('t', history, ({ startMs }) => startMs);
  expect(linearizationProblem(operations, NO_TOPIC)).toBeUndefined();
});

const SEEDS = 30;

/** What is found in some seed under a bug that was put in on purpose. */
async function found(pattern: RegExp, sabotage: Sabotage, faults: readonly FaultKind[] = []): Promise<string[]> {
  for (let seed = 0; seed < SEEDS; seed++) {
    const { violations } = await runAdminScenario({ seed, faults, sabotage });
    const texts = violations.map(({ check, text }) => `${check} ${text}`).filter((text) => pattern.test(text));
    if (texts.length > 0) return texts;
  }
  return [];
}

type Tamper = <A extends ApiName>(
  api: A,
  request: Requests[A],
  send: (request: Requests[A]) => Promise<Responses[A]>,
) => Promise<Responses[A]>;

function tampered(tamper: Tamper): Sabotage {
  return {
    channel: (inner): RequestChannel => ({
      send: (api, request, options) => tamper(api, request, (changed) => inner.send(api, changed, options)),
      close: () => inner.close(),
    }),
  };
}

function tamperedStore(change: Partial<LogStore>): Sabotage {
  return {
    store: (store) => new Proxy(store, { get: (target, name) => Reflect.get(change, name) ?? bound(target, name) }),
  };
}

function bound(target: LogStore, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target);
  return typeof value === 'function' ? value.bind(target) : value;
}

test('a change that is acknowledged and not made is found', async () => {
  const sabotage = tampered((api, request, send) =>
    send(api === 'AlterConfigs' ? { ...request, validateOnly: true } : request),
  );
  expect(await found(/^W5 .*DescribeConfigs.* impossible after/, sabotage)).not.toEqual([]);
});

test('a change that is made, and answered with a refusal, is found', async () => {
  const sabotage = tampered(async (api, request, send) => {
    const response = await send(request);
    if (api !== 'CreatePartitions') return response;
    const { results } = response as Responses['CreatePartitions'];
    return { ...response, results: results.map((result) => ({ ...result, errorCode: 44 })) };
  });
  expect(await found(/^W5 .* impossible after/, sabotage)).not.toEqual([]);
});

test('a call that never ends is found', async () => {
  const sabotage = tampered((api, request, send) => (api === 'ListGroups' ? new Promise(() => {}) : send(request)));
  const bug = vi.spyOn(Deadlines.prototype, 'add').mockReturnValue(() => true);
  try {
    expect(await found(/^C19 did not end: .*listGroups/, sabotage)).not.toEqual([]);
  } finally {
    bug.mockRestore();
  }
});

test('logs that are left behind by a deletion are found', async () => {
  expect(await found(/^C20 logs? .*no topic/, tamperedStore({ deleteLog: async () => {} }))).not.toEqual([]);
});

test('offsets of a deleted topic that its successor goes on with are found', async () => {
  const bug = vi.spyOn(GroupCoordinator.prototype, 'topicsDeleted').mockResolvedValue();
  try {
    expect(await found(/^W5 .*OffsetFetch.* impossible after/, {})).not.toEqual([]);
  } finally {
    bug.mockRestore();
  }
});

test('deleted records that come back are found', async () => {
  const sabotage = tampered(async (api, request, send) => {
    if (api !== 'DeleteRecords') return send(request);
    const { topics } = request as Requests['DeleteRecords'];
    const answer: Responses['DeleteRecords'] = {
      topics: topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, offset }) => {
          return { partitionIndex, errorCode: 0, errorMessage: null, lowWatermark: Math.max(1, offset) };
        }),
      })),
    };
    return answer as Responses[typeof api];
  });
  expect(await found(/^S2 start of/, sabotage)).not.toEqual([]);
});
