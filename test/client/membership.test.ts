import { expect, test } from 'vitest';
import { Connection, SharedChannel } from '../../src/client/connection.js';
import { GroupMembership } from '../../src/client/consumer/membership.js';
import { DEFAULT_RETRY } from '../../src/client/retry.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

// Goal: whatever a member is told is heeded, however close it follows what came before. Method: a member that is to join
// again just when it has taken its assignment, each time a microtask later.

/** Enough to be beyond the last microtask of a join. */
const MICROTASKS = 12;

test('a member that is told to join again as it has taken its assignment does so', async () => {
  await using cluster = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  const connection = new Connection({
    shared: new SharedChannel(() => cluster.connect()),
    runtime: inProcessRuntime(),
    clientId: 'test',
    requestTimeoutMs: 30_000,
    instrumentation: {
      events: { CONNECT: '', DISCONNECT: '', REQUEST: '', REQUEST_TIMEOUT: '' },
      hears: () => false,
      emit: () => {},
    },
    onOpen: () => {},
    onClosed: () => {},
  });
  let joined = 0;
  for (let microtasks = 0; microtasks < MICROTASKS; microtasks++) {
    const joinedAgain = deferred();
    let assignments = 0;
    const membership = new GroupMembership({
      connection,
      retry: DEFAULT_RETRY,
      groupId: `g${microtasks}`,
      groupInstanceId: null,
      sessionTimeoutMs: 30_000,
      rebalanceTimeoutMs: 30_000,
      heartbeatIntervalMs: 10_000,
      protocols: async () => [{ name: 'p', metadata: new Uint8Array() }],
      assign: async () => [],
      onAssigned: async () => {
        if (++assignments > 1) return joinedAgain.resolve();
        void (async () => {
          for (let left = microtasks; left > 0; left--) await Promise.resolve();
          membership.rejoin();
        })();
      },
      onRevoked: async () => {},
      onHeartbeat: () => {},
      onFailure: joinedAgain.reject,
    });
    await membership.join();
    await joinedAgain.promise;
    joined++;
    await membership.leave();
  }
  expect(joined).toBe(MICROTASKS);
  await connection.close();
});
