/** The whole of tabstream in one thread, over memory. Importing it touches nothing. */
export { InProcessCluster, type InProcessClusterOptions } from './in-process-cluster.js';
export { dropCluster, Kafka } from './shared-clusters.js';
