import type { LogViews } from '../log/log-view.js';
import type { Clock } from '../runtime/runtime.js';
import type { LogStore } from '../storage/log-store.js';
import type { BrokerParts } from './broker-parts.js';
import type { MetadataImage } from './metadata-image.js';

/** What a host needs to answer Metadata, Fetch and ListOffsets, leader or not. */
export interface ReadContext {
  readonly clusterId: string;
  readonly clock: Clock;
  readonly views: LogViews;
  readonly parts: Pick<BrokerParts, 'timestamps' | 'transactions'>;
  /** Only read. */
  readonly store: LogStore;
  /** The newest image that this host knows; asked again after every wait. */
  image(): MetadataImage;
  /** Resolves once the image includes all that the database holds now. */
  refreshImage(signal: AbortSignal | undefined): Promise<void>;
  /** The newest leader epoch that this host has heard of. */
  leaderEpoch(): number;
}
