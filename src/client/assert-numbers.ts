import { KafkaJSNonRetriableError } from './errors.js';

/** The numbers in the configs of clients, by name, and the least that each may be. */
const LEAST: Readonly<Record<string, number>> = {
  retries: 0,
  factor: 0,
  multiplier: 0,
  maxRetryTime: 0,
  initialRetryTime: 0,
  timeout: 0,
  requestTimeout: 0,
  sessionTimeout: 0,
  rebalanceTimeout: 0,
  deliveryTimeout: 0,
  heartbeatInterval: 0,
  metadataMaxAge: 0,
  maxWaitTimeInMs: 0,
  minBytes: 0,
  maxBytes: 0,
  maxBytesPerPartition: 0,
  batchSize: 0,
  bufferMemory: 0,
  linger: 0,
  maxInFlightRequests: 1,
};

/**
 * What of these is given is a number: anything else would compare with nothing, and make waits that never end and loops
 * that never wait.
 * @throws KafkaJSNonRetriableError: it is not, or it is too small.
 */
export function assertNumbers(config: object): void {
  for (const [name, value] of Object.entries(config) as [string, unknown][]) {
    const least = LEAST[name];
    if (least === undefined || value === undefined || value === null) continue;
    if (typeof value === 'number' && value >= least) continue;
    throw new KafkaJSNonRetriableError(`Invalid ${name}, expected at least ${least}, received ${String(value)}`);
  }
}
