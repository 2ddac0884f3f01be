import { describe, expect, test } from 'vitest';
import type { RequestChannel } from '../../src/protocol/request-channel.js';
import type { ApiName, Requests, Responses } from '../../src/protocol/requests.js';
import type { LogStore } from '../../src/storage/log-store.js';
import type { MemoryDisk } from '../../src/storage/memory-disk.js';
import { type CheckId, check } from './checkers.js';
import type { Sabotage } from './cluster-simulation.js';
import { type History, newHistory } from './history.js';
import { type FaultKind, runScenario } from './scenario.js';

/** The checks that fire in at least one of some seeds under a bug that was put in on purpose. */
async function caught(options: {
  readonly faults: readonly FaultKind[];
  readonly sabotage?: Sabotage;
  readonly idempotent?: boolean;
  readonly seeds?: number;
  /** Enough is known once these have fired. */
  readonly until: readonly CheckId[];
}): Promise<Set<CheckId>> {
  const { faults, sabotage, idempotent, seeds = 30, until } = options;
  const fired = new Set<CheckId>();
  for (let seed = 0; seed < seeds && !until.every((id) => fired.has(id)); seed++) {
    const run = runScenario({
      seed,
      faults,
      ...(sabotage && { sabotage }),
      ...(idempotent === false && { idempotent }),
    });
    for (const violation of await run.then(
      (result) => result.violations,
      () => [],
    ))
      fired.add(violation.check);
  }
  return fired;
}

/** A channel that changes what passes. */
function tampering(
  inner: RequestChannel,
  tamper: <A extends ApiName>(api: A, request: Requests[A], send: () => Promise<Responses[A]>) => Promise<Responses[A]>,
): RequestChannel {
  return {
    send: (api, request, options) => tamper(api, request, () => inner.send(api, request, options)),
    close: () => inner.close(),
  };
}

describe('bugs put in on purpose are caught', () => {
  test('C1, C2: a store that does not compare the epoch in the append lets a sleeper write', async () => {
    const store = (inner: LogStore, disk: MemoryDisk): LogStore => unfenced(inner, disk);
    const fired = await caught({ faults: ['freeze', 'delay'], sabotage: { store }, until: ['C1', 'C2'] });
    expect([...fired]).toEqual(expect.arrayContaining(['C1', 'C2']));
  });
});

/** Writes under whatever epoch is stored. */
function unfenced(store: LogStore, disk: MemoryDisk): LogStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'append') {
        return async (commit: Parameters<LogStore['append']>[0], durability: Parameters<LogStore['append']>[1]) =>
          target.append({ ...commit, leaderEpoch: disk.leadership().epoch }, durability);
      }
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
