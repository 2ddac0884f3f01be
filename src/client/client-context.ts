import type { ClientRuntime } from '../runtime/runtime.js';
import type { EncryptionConfig, RetryOptions } from './api/kafka.js';
import type { Logger } from './api/logger.js';
import type { ClientParts } from './client-parts.js';
import type { ClusterMetadata, ClusterMetadataOptions } from './cluster-metadata.js';
import type { SharedChannel } from './connection.js';
import type { EventNames, Instrumentation } from './instrumentation.js';

/** What producers, consumers and admins share with the `Kafka` that makes them. */
export interface ClientContext {
  readonly runtime: ClientRuntime;
  readonly parts: ClientParts;
  readonly shared: SharedChannel;
  /** Every client needs one, so that it is not in the code that each loads. */
  readonly newMetadata: (options: ClusterMetadataOptions) => ClusterMetadata;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly retry: Required<RetryOptions>;
  readonly logger: Logger;
  readonly encryption: EncryptionConfig | undefined;
  /** What a client's connection tells of itself, so that `Kafka.close` can end the clients that are open. */
  readonly track: (disconnect: () => Promise<void>) => { readonly onOpen: () => void; readonly onClosed: () => void };
}

/** What of a client is there before its code is loaded. */
export interface ClientShell<E extends EventNames> {
  readonly logger: Logger;
  readonly instrumentation: Instrumentation<E>;
}
