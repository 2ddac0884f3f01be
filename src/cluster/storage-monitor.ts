import { NO_ERROR } from '../protocol/errors.js';
import type { DescribeStorageRequest, DescribeStorageResponse, StorageChange } from '../protocol/requests.js';
import type { StorageState } from '../protocol/storage-state.js';
import { abortable, deferred } from '../util/signal.js';
import {
  type StorageEffect,
  type StorageEvent,
  type StorageMachine,
  type StorageStep,
  stepStorage,
} from './storage-machine.js';

/** Who asks in time sees every change; whoever is further behind, the newest. */
const MAX_CHANGES = 32;

export interface StorageMonitorOptions {
  /** Tells this host's changes from those of a worker before or after it. */
  readonly hostName: string;
  readonly wallMs: () => number;
  readonly first: StorageStep;
  readonly carryOut: (effect: StorageEffect) => void;
  readonly changed: (state: StorageState) => void;
}

/** The storage state of one host, and the last changes of it for those who watch. */
export class StorageMonitor {
  readonly #options: StorageMonitorOptions;
  #machine: StorageMachine;
  /** Oldest first; never empty. The last one has the number `#version`. */
  readonly #changes: StorageChange[];
  #version = 0;
  #moved = deferred();

  constructor(options: StorageMonitorOptions) {
    this.#options = options;
    this.#machine = options.first.machine;
    this.#changes = [{ state: this.state, atMs: options.wallMs() }];
  }

  get state(): StorageState {
    return this.#machine.state;
  }

  dispatch(event: StorageEvent): void {
    const before = this.state;
    const { machine, effects } = stepStorage(this.#machine, event);
    this.#machine = machine;
    if (JSON.stringify(before) !== JSON.stringify(this.state)) this.#tell();
    for (const effect of effects) this.#options.carryOut(effect);
  }

  /** The changes since the one that the asker knows, waiting for the next where it knows all. */
  async describe(asked: DescribeStorageRequest, signal: AbortSignal | undefined): Promise<DescribeStorageResponse> {
    const { hostName } = this.#options;
    const isNew = asked.host !== hostName || asked.version > this.#version;
    while (!isNew && asked.version === this.#version) await abortable(this.#moved.promise, signal);
    const count = isNew ? 1 : this.#version - asked.version;
    return { ...NO_ERROR, host: hostName, version: this.#version, changes: this.#changes.slice(-count) };
  }

  #tell(): void {
    this.#changes.push({ state: this.state, atMs: this.#options.wallMs() });
    if (this.#changes.length > MAX_CHANGES) this.#changes.shift();
    this.#version++;
    const moved = this.#moved;
    this.#moved = deferred();
    this.#options.changed(this.state);
    moved.resolve();
  }
}
