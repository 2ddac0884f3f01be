import { expect, test } from 'vitest';
import type { ClusterParts } from '../../src/cluster/cluster-parts.js';
import { LazyTransport } from '../../src/cluster/lazy-transport.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { KafkaError } from '../../src/protocol/errors.js';
import { Simulation } from '../../src/runtime/simulation.js';

const simulation = new Simulation({ seed: 1 });

function party(hostId: string, part: ClusterParts['transport']): LazyTransport {
  const { runtime } = simulation.tab(hostId);
  const answer = async () => ({ response: { from: hostId } as never, metadataEndOffset: 7 });
  return new LazyTransport({ clusterName: 'c', hostId, runtime, answer }, part);
}

const ask = (from: LazyTransport, to: string) => from.call(to, 'FindCoordinator', { key: 'x', keyType: 0 });

test('the code is loaded by the first message, which is answered without being sent again', async () => {
  let arrive = (): void => {};
  const arrived = new Promise<void>((resolve) => (arrive = resolve));
  const a = party('a', STATIC_CLUSTER_PARTS.transport);
  const b = party('b', () => arrived.then(STATIC_CLUSTER_PARTS.transport));
  await a.load();
  const call = ask(a, 'b');
  const before = simulation.nowMs;
  await simulation.run({ maxMs: 100 });
  expect(b.isLoaded).toBe(false);
  arrive();
  await b.load();
  await simulation.run({ maxMs: 100 });
  expect(await call).toEqual({ response: { from: 'b' }, metadataEndOffset: 7 });
  expect(simulation.nowMs - before).toBeLessThan(1000); // that is when a caller asks what became of it
});

test('code that could not be loaded is asked for again', async () => {
  let failures = 1;
  const c = party('c', async () => {
    if (failures-- > 0) throw new KafkaError('COORDINATOR_NOT_AVAILABLE', 'offline');
    return STATIC_CLUSTER_PARTS.transport();
  });
  await expect(c.load()).rejects.toMatchObject({ type: 'COORDINATOR_NOT_AVAILABLE', retriable: true });
  await c.load();
  expect(c.isLoaded).toBe(true);
});

test('what is closed while its code loads stays closed', async () => {
  const d = party('d', STATIC_CLUSTER_PARTS.transport);
  const loading = d.load();
  d.close();
  await loading;
  expect(d.isLoaded).toBe(false);
});
