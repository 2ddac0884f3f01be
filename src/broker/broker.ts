import type { LogAdvance } from '../log/log-view.js';
import type { ApiName, Requests, Responses } from '../protocol/requests.js';
import type { Clock, Random } from '../runtime/runtime.js';
import type { LogStore } from '../storage/log-store.js';
import type { MetadataImage } from './metadata-image.js';

export interface BrokerOptions {
  readonly clusterId: string;
  readonly store: LogStore;
  /** The epoch that this host claimed in the store. */
  readonly leaderEpoch: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Static broker configs by Kafka's dotted names; see broker-config.ts. */
  readonly configs?: Readonly<Record<string, string>>;
  /** Called in order for each commit, before its producer is answered, and when a log start moves. Must not throw. */
  readonly onAdvance: (advance: LogAdvance) => void;
}

/** What the elected host answers; all other APIs are answered by every host (ReadContext). */
export type BrokerApi = Exclude<ApiName, 'Fetch' | 'ListOffsets' | 'DescribeCluster'>;

export class Broker {
  /** Takes up the work: reads the metadata log; all other logs open when first used. */
  static async open(options: BrokerOptions): Promise<Broker> {
    throw new Error('to come');
  }

  /** Aborts, with a KafkaError as reason, once the store refused our epoch or is lost: close this broker. */
  readonly deposed!: AbortSignal;

  /** Includes all metadata that is committed. */
  get image(): MetadataImage {
    throw new Error('to come');
  }

  /**
   * Answers one request. Metadata here creates missing topics where that is allowed.
   * @throws KafkaError NOT_LEADER_OR_FOLLOWER, NOT_CONTROLLER or NOT_COORDINATOR once deposed or closed, else
   *   only for a request that is broken as a whole (INVALID_REQUEST).
   */
  handle<A extends BrokerApi>(api: A, request: Requests[A], signal?: AbortSignal): Promise<Responses[A]> {
    throw new Error('to come');
  }

  /** Answers what waits, ends all loops, leaves nothing behind. Idempotent; does not close the store. */
  async close(): Promise<void> {}
}
