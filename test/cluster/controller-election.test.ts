import { expect, test } from 'vitest';
import { ControllerElection } from '../../src/cluster/controller-election.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { MemoryDisk } from '../../src/storage/memory-disk.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { deferred } from '../../src/util/signal.js';

// Goal: what the machine decides is carried out, however close one event follows another. Method: a lone host that leads.

test('a leader that is closed in the turn in which it was asked has left once it is closed', async () => {
  const runtime = inProcessRuntime();
  const leading = deferred();
  const done: string[] = [];
  const election = new ControllerElection({
    runtime,
    store: await MemoryLogStore.open(new MemoryDisk(), { newIncarnationId: 'i' }),
    clusterName: 'c',
    hostId: 'h',
    post: ({ type }) => void done.push(type),
    alone: () => true,
    echo: async () => true,
    openBroker: async () => leading.resolve(),
    closeBroker: async () => void done.push('broker closed'),
    onLeader: () => {},
  });
  election.start();
  await leading.promise;
  done.length = 0;
  election.receive('another', { type: 'ask' });
  await election.close();
  expect(done).toEqual(['announcement', 'broker closed', 'resignation']);
  expect(await runtime.locks?.held('')).toEqual([]);
});
