import { afterEach, beforeEach, expect, test } from 'vitest';
import { Connection, SharedChannel } from '../../src/client/connection.js';
import { GroupMembership, type GroupMembershipOptions } from '../../src/client/consumer/membership.js';
import { DEFAULT_RETRY } from '../../src/client/retry.js';
import { inProcessRuntime } from '../../src/runtime/node-runtime.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

// Goal: whatever a member is told is heeded, however close it follows what came before. Method: a member that is to join
// again just when it has taken its assignment, each time a microtask later.

/** Enough to be beyond the last microtask of a join's end. */
const MICROTASKS = 12;
/** Enough to be beyond its last request. */
const JOIN_MICROTASKS = 120;

let cluster: InProcessCluster;
let connection: Connection;

beforeEach(() => {
  cluster = new InProcessCluster({ brokerConfig: { 'group.initial.rebalance.delay.ms': '0' } });
  connection = new Connection({
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
});

afterEach(async () => {
  await connection.close();
  await cluster.close();
});

function member(groupId: string, options: Partial<GroupMembershipOptions> = {}): GroupMembership {
  return new GroupMembership({
    connection,
    retry: DEFAULT_RETRY,
    groupId,
    groupInstanceId: null,
    sessionTimeoutMs: 30_000,
    rebalanceTimeoutMs: 30_000,
    heartbeatIntervalMs: 10_000,
    protocols: async () => [{ name: 'p', metadata: new Uint8Array() }],
    assign: async () => [],
    onAssigned: async () => {},
    onRevoked: async () => {},
    onHeartbeat: () => {},
    onFailure: () => {},
    ...options,
  });
}

async function microtasks(count: number): Promise<void> {
  for (let left = count; left > 0; left--) await Promise.resolve();
}

test('a member that is told to join again as it has taken its assignment does so', async () => {
  let joined = 0;
  for (let count = 0; count < MICROTASKS; count++) {
    const joinedAgain = deferred();
    let assignments = 0;
    const membership = member(`g${count}`, {
      onAssigned: async () => {
        if (++assignments > 1) return joinedAgain.resolve();
        void microtasks(count).then(() => membership.rejoin());
      },
      onFailure: joinedAgain.reject,
    });
    await membership.join();
    await joinedAgain.promise;
    joined++;
    await membership.leave();
  }
  expect(joined).toBe(MICROTASKS);
});

// The coordinator, which has given it an id, would wait for it to join with that, and the next member with it.
test('a member that leaves while it joins keeps nobody waiting', async () => {
  await connection.open();
  let joined = 0;
  for (let count = 0; count < JOIN_MICROTASKS; count++) {
    const leaving = member(`g${count}`);
    const joining = leaving.join().catch(() => {});
    await microtasks(count);
    await leaving.leave();
    await joining;
    const next = member(`g${count}`);
    await next.join();
    joined++;
    await next.leave();
  }
  expect(joined).toBe(JOIN_MICROTASKS);
});
