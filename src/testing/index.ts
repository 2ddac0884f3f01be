/**
 * The whole of tabstream in one thread, over memory, with all names of `tabstream`: a test may take it in its place.
 * Importing it touches nothing.
 */
export * from '../index.js';
export { InProcessCluster, type InProcessClusterOptions } from './in-process-cluster.js';
export { dropCluster, Kafka } from './shared-clusters.js';
