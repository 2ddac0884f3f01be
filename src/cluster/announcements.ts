import type { LogAdvance } from '../log/log-view.js';
import type { Channel, Channels } from '../runtime/runtime.js';
import type { LogId } from '../storage/log-store.js';
import { CLUSTER_PROTOCOL_VERSION } from './host-messages.js';

/** A commit of at most so many bytes travels with its announcement; readers get larger ones from the database. */
export const MAX_INLINED_BYTES: number = 16 * 1024;

interface AnnouncementEnvelope {
  readonly version: number;
  readonly incarnationId: string;
  readonly advance: LogAdvance;
}

/** The channel on which the leader tells how one log advances; only hosts that read the log listen. */
export function logChannelName(clusterName: string, log: LogId): string {
  return `tabstream/${clusterName}/log/${log}`;
}

export interface AnnouncementsOptions {
  readonly clusterName: string;
  readonly incarnationId: string;
  readonly channels: Channels;
  readonly log: LogId;
  readonly onAdvance: (advance: LogAdvance) => void;
}

/** One host's end of a log's channel: tells and hears. What it tells it does not hear itself. */
export class Announcements {
  readonly #options: AnnouncementsOptions;
  readonly #channel: Channel;

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
    const name = logChannelName(options.clusterName, options.log);
    this.#channel = options.channels.open(name, (data) => this.#receive(data));
  }

  post(advance: LogAdvance): void {
    const bytes = advance.chunks.reduce((sum, chunk) => sum + chunk.bytes.byteLength, 0);
    const told = bytes <= MAX_INLINED_BYTES ? advance : { ...advance, chunks: [] };
    const { incarnationId } = this.#options;
    this.#channel.post({
      version: CLUSTER_PROTOCOL_VERSION,
      incarnationId,
      advance: told,
    } satisfies AnnouncementEnvelope);
  }

  close(): void {
    this.#channel.close();
  }

  #receive(data: unknown): void {
    if (typeof data !== 'object' || data === null) return;
    const { version, incarnationId, advance } = data as Partial<AnnouncementEnvelope>;
    if (version !== CLUSTER_PROTOCOL_VERSION || incarnationId !== this.#options.incarnationId) return;
    if (advance?.log === this.#options.log) this.#options.onAdvance(advance);
  }
}
