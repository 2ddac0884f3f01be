import { applyMetadataRecords, EMPTY_IMAGE, type MetadataImage } from '../broker/metadata-image.js';
import { METADATA_LOG, metadataRecordsIn } from '../broker/metadata-records.js';
import { LogGapError } from '../log/log-gap.js';
import { KafkaError } from '../protocol/errors.js';
import { batchesIn, lastOffsetOf } from '../record/batch-header.js';
import type { Clock } from '../runtime/runtime.js';
import { abortable, deferred } from '../util/signal.js';
import type { HostLogView, HostLogViews } from './log-views.js';

const READ_BYTES = 1024 * 1024;
/** After a failed read of the metadata log. */
const RETRY_MS = 200;

export interface MetadataFollowerOptions {
  readonly views: HostLogViews;
  readonly clock: Clock;
}

/** Keeps this host's image of the cluster's metadata by following the metadata log, leader or not. */
export class MetadataFollower {
  readonly #options: MetadataFollowerOptions;
  readonly #closing = new AbortController();
  #image: MetadataImage = EMPTY_IMAGE;
  #nextOffset = 0;
  #moved = deferred();

  constructor(options: MetadataFollowerOptions) {
    this.#options = options;
    void this.#follow();
  }

  get image(): MetadataImage {
    return this.#image;
  }

  /** The offset up to which the image includes the metadata log, exclusive. */
  get nextOffset(): number {
    return this.#nextOffset;
  }

  /** Resolves once the image includes everything below `offset`; rejects with the signal's reason. */
  async reached(offset: number, signal: AbortSignal | undefined): Promise<void> {
    while (this.#nextOffset < offset) {
      this.#closing.signal.throwIfAborted();
      await abortable(this.#moved.promise, signal);
    }
  }

  /** Resolves once the image includes all that this host has read or heard of: at its start, what the database held. */
  async caughtUp(signal: AbortSignal | undefined): Promise<void> {
    const view = await this.#options.views.open(METADATA_LOG);
    await this.reached(view.highWatermark, signal);
  }

  /** Resolves once the image includes all that the database holds now. */
  async refresh(signal: AbortSignal | undefined): Promise<void> {
    const view = await this.#options.views.open(METADATA_LOG);
    await view.refresh();
    await this.reached(view.highWatermark, signal);
  }

  close(): void {
    this.#closing.abort(new KafkaError('NETWORK_EXCEPTION', 'the host is closed'));
    this.#moved.resolve();
  }

  async #follow(): Promise<void> {
    const { views, clock } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const view = await views.open(METADATA_LOG, { fetchOffset: this.#nextOffset, maxBytes: READ_BYTES });
        await view.advancedBeyond(this.#nextOffset, signal);
        await this.#take(view).catch(async (error: unknown) => {
          await view.refresh(); // a snapshot may have replaced what was to be read
          throw error;
        });
      } catch {
        await clock.sleep(RETRY_MS, signal).catch(() => {});
      }
    }
  }

  /** Reads what is new; where a snapshot has replaced that, all of it from there on, for half of one is shown to nobody. */
  async #take(view: HostLogView): Promise<void> {
    let image = this.#image;
    let nextOffset = this.#nextOffset;
    if (view.logStartOffset > nextOffset) {
      image = EMPTY_IMAGE;
      nextOffset = view.logStartOffset;
    }
    while (nextOffset < view.highWatermark) {
      try {
        for (const bytes of await view.read(nextOffset, READ_BYTES)) {
          image = applyMetadataRecords(image, metadataRecordsIn(bytes, nextOffset));
          for (const { header } of batchesIn(bytes)) nextOffset = lastOffsetOf(header) + 1;
        }
      } catch (error) {
        if (!(error instanceof LogGapError)) throw error;
        image = { ...image, gap: error.gap };
        nextOffset = error.gap.nextOffset; // the cluster goes on with what else it knows
      }
    }
    const before = this.#image;
    this.#image = image;
    this.#nextOffset = nextOffset;
    this.#removeViews(before);
    const moved = this.#moved;
    this.#moved = deferred();
    moved.resolve();
  }

  /** Of the logs of topics that were deleted since, or made anew. */
  #removeViews({ topics }: MetadataImage): void {
    for (const { name, topicId, partitions } of topics.values()) {
      if (this.#image.topics.get(name)?.topicId === topicId) continue;
      for (const { log } of partitions) this.#options.views.remove(log);
    }
  }
}
