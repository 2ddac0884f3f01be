import { type KafkaConstructor, kafkaOn } from '../client/kafka.js';
import { STATIC_CLIENT_PARTS } from '../client/static-client-parts.js';
import { inProcessClientRuntime } from '../runtime/node-runtime.js';
import type { ClientRuntime } from '../runtime/runtime.js';
import { InProcessCluster } from './in-process-cluster.js';

const clusters = new Map<string, InProcessCluster>();
let runtime: ClientRuntime | undefined;

/**
 * The same client as in a browser, over a cluster in this thread: for tests, Node and edge code. Instances that name the
 * same cluster share it; its data lives as long as the process, or until `dropCluster`.
 */
export const Kafka: KafkaConstructor = kafkaOn({
  get runtime() {
    runtime ??= inProcessClientRuntime();
    return runtime;
  },
  parts: STATIC_CLIENT_PARTS,
  connect({ clusterName, brokerConfig, label }) {
    const cluster = clusters.get(clusterName) ?? new InProcessCluster({ name: clusterName, brokerConfig });
    clusters.set(clusterName, cluster);
    return cluster.connect(label);
  },
});

/** Ends a cluster of this process and forgets its data. */
export async function dropCluster(name: string): Promise<void> {
  const cluster = clusters.get(name);
  clusters.delete(name);
  await cluster?.close();
}
