import type { Runtime } from '../runtime/runtime.js';
import type { RetryOptions } from './api/kafka.js';
import type { Logger } from './api/logger.js';
import type { SharedChannel } from './connection.js';

/** What producers, consumers and admins share with the `Kafka` that makes them. */
export interface ClientContext {
  readonly runtime: Runtime;
  readonly shared: SharedChannel;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  /** Told of each client made, so that `close` can end it. */
  readonly onClient: (client: { disconnect(): Promise<void> }) => void;
}
