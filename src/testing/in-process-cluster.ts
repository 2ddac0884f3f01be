import { type ClientPlatform, type KafkaConstructor, kafkaOn } from '../client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../client/static-client-parts.js';
import { Host } from '../cluster/host.js';
import { STATIC_CLUSTER_PARTS } from '../cluster/static-cluster-parts.js';
import type { BatchKeys } from '../log/batch-keys.js';
import { batchKeys } from '../log/key-rings.js';
import type { EncryptionKeys } from '../protocol/encryption-keys.js';
import type { RequestChannel } from '../protocol/request-channel.js';
import { inProcessClientRuntime, inProcessRuntime } from '../runtime/node-runtime.js';
import type { Runtime } from '../runtime/runtime.js';
import { MemoryDisk } from '../storage/memory-disk.js';
import { MemoryLogStore } from '../storage/memory-log-store.js';
import { type Awaiting, keptAlive } from './kept-alive.js';

export interface InProcessClusterOptions {
  readonly name?: string;
  /** Static configs of the broker, by Kafka's dotted names. */
  readonly brokerConfig?: Readonly<Record<string, string>>;
  readonly runtime?: Runtime;
}

/**
 * A cluster in this thread: real hosts, elections and logs, over memory. It outlives its hosts, as a database does, until
 * it is dropped.
 */
export class InProcessCluster {
  readonly name: string;
  readonly disk: MemoryDisk = new MemoryDisk();
  readonly runtime: Runtime;
  /** A Node process lives on while somebody waits for us. */
  readonly #awaiting: Awaiting;
  /** The client over this cluster alone; all of its instances share one host, started when first used. */
  readonly Kafka: KafkaConstructor;
  readonly #brokerConfig: Readonly<Record<string, string>>;
  readonly #hosts = new Set<Host>();
  #keyRings: readonly EncryptionKeys[] = [];
  #keys: BatchKeys | undefined;
  #shared: Promise<Host> | undefined;
  #users = 0;

  constructor(options: InProcessClusterOptions = {}) {
    this.name = options.name ?? 'default';
    this.runtime = options.runtime ?? inProcessRuntime();
    const clientRuntime = options.runtime ?? inProcessClientRuntime();
    this.#awaiting = options.runtime ? (answer) => answer : keptAlive(clientRuntime.clock);
    this.#brokerConfig = options.brokerConfig ?? {};
    const connect: ClientPlatform['connect'] = ({ keys }) => {
      if (keys) this.#giveKeys(keys);
      return this.connect();
    };
    this.Kafka = kafkaOn({ runtime: clientRuntime, parts: STATIC_CLIENT_PARTS, connect });
  }

  /** One more host, as if another tab opened. Closing it hands over; `close` of the cluster closes it too. */
  async addHost(label = `host ${this.#hosts.size + 1}`): Promise<Host> {
    const { runtime, disk } = this;
    const host = await Host.start({
      runtime,
      openStore: () => MemoryLogStore.open(disk, { newIncarnationId: runtime.random.uuid() }),
      parts: STATIC_CLUSTER_PARTS,
      clusterName: this.name,
      brokerConfig: this.#brokerConfig,
      label,
      batchKeys: async () => this.#keys,
    });
    this.#hosts.add(host);
    return host;
  }

  /** A client's way in: the shared host, which ends with its last user. */
  async connect(label?: string): Promise<RequestChannel> {
    this.#users++;
    this.#shared ??= this.addHost(label);
    const host = await this.#awaiting(this.#shared);
    let open = true;
    return {
      send: (api, request, options) => this.#awaiting(host.send(api, request, options)),
      close: async () => {
        if (open && --this.#users === 0) await this.#awaiting(this.#closeShared());
        open = false;
      },
    };
  }

  /** Closes all hosts; what was stored stays. */
  async close(): Promise<void> {
    await Promise.all([...this.#hosts].map((host) => host.close()));
    this.#hosts.clear();
    this.#shared = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** All hosts have the keys of all clients. */
  #giveKeys(keys: EncryptionKeys): void {
    if (this.#keyRings.includes(keys)) return;
    this.#keyRings = [...this.#keyRings, keys];
    this.#keys = batchKeys(this.#keyRings);
  }

  async #closeShared(): Promise<void> {
    const host = await this.#shared;
    this.#shared = undefined;
    if (host === undefined) return;
    this.#hosts.delete(host);
    await host.close();
  }
}
