import type { StorageState } from '../../../src/index.js';

/** Other clients than the usual one: see variants.ts. */
export type Variant = 'memory-if-denied' | 'newer' | 'wedging';

/** A message here wedges the next write of each tab of the variant `wedging`. */
export const WEDGE_CHANNEL = 'wedge';

/** What a tab under test can do, as `window.tab`. */
export interface TabApi {
  createTopic(topic: string, partitions: number, config?: Readonly<Record<string, string>>): Promise<void>;
  /** Sends `name:0`, `name:1`, … to the partitions in turn, many at a time, until stopped. Idempotent. */
  startProducing(name: string, topic: string, partitions: number, options?: ProducingOptions): Promise<void>;
  /** Resolves when all that was sent is answered. */
  stopProducing(): Promise<void>;
  /** Reads the topic from its beginning, without a group and without end. */
  follow(topic: string): Promise<void>;
  followed(): readonly Read[];
  /** Reads the beginning of the topic again and again, several times at once, until the page has been left. Tells nobody. */
  reread(topic: string): Promise<void>;
  /** As a member that sends no heartbeat by itself. Resolves once it has an assignment. */
  joinGroup(groupId: string, topic: string): Promise<void>;
  /** To the last that joined. */
  assignedCount(): number;
  /** Becomes a member, once the others let it, that reports what it handles, and commits what was reported. */
  handleIn(groupId: string, topic: string): Promise<void>;
  /** From now on handlers take no time, and wait for no answer to what they report. */
  handleInHaste(): void;
  /** By partition. */
  endOffsets(topic: string): Promise<number[]>;
  /** All that a check of the logs finds, and what is lost. */
  damage(): Promise<readonly string[]>;
  hosts(): Promise<Host[]>;
  /** From now on. */
  watchStorage(): void;
  /** Every state since then. */
  storageStates(): readonly StorageState[];
  /** One record, alone. Rejects as the send does. */
  sendOne(topic: string, value: string, paddingBytes?: number): Promise<number>;
  /** Of a group that has no members. */
  commitOffset(groupId: string, topic: string, offset: number): Promise<void>;
  /** Bytes, as the browser estimates them. */
  usage(): Promise<number>;
  wedgeNextWrite(): void;
  /** Holds the cluster's database open, deaf for those who want to upgrade it, until the answer's tab is closed. */
  holdDatabase(): Promise<void>;
}

export interface ProducingOptions {
  /** Added to each value, and never reported. Default: 0. */
  readonly paddingBytes?: number;
  /** Default: the producer's. */
  readonly deliveryTimeoutMs?: number;
}

/** What the harness offers to the tab: it keeps what is told here when the tab is gone. */
export interface TabReports {
  reportAck(acknowledged: Acknowledged): Promise<void>;
  /** Answered once the handler may end. */
  beginHandling(): Promise<void>;
  /** The handler has ended. */
  reportHandled(read: Read): Promise<void>;
  reportFailure(value: string, error: string): Promise<void>;
}

export interface Acknowledged {
  readonly value: string;
  readonly partition: number;
  readonly offset: number;
}

export interface Read {
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
}

export interface Host {
  readonly hostId: string;
  readonly controller: boolean;
  readonly controllerEpoch: number;
  readonly self: boolean;
}

declare global {
  interface Window {
    tab: TabApi;
    /** Set by the harness when it navigates away; a page that still knows it came out of the back/forward cache. */
    wasLeft?: boolean;
  }
}
