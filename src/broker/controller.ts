import type { PartitionLog } from '../log/partition-log.js';
import type { Clock } from '../runtime/runtime.js';
import { Serial } from '../util/serial.js';
import type { Change } from './create-topics.js';
import { metadataBatches } from './metadata-batches.js';
import { applyMetadataRecords, type MetadataImage } from './metadata-image.js';

/** The one writer of the metadata log: decide → append → apply → answer, one change at a time. */
export class Controller {
  readonly #log: PartitionLog;
  readonly #clock: Clock;
  readonly #serial: Serial = new Serial();
  readonly #verifyLeading: () => Promise<void>;
  #image: MetadataImage;

  /** `image` is what `log` holds so far; `verifyLeading` rejects where a newer leader is in office. */
  constructor(log: PartitionLog, image: MetadataImage, clock: Clock, verifyLeading: () => Promise<void>) {
    this.#log = log;
    this.#image = image;
    this.#clock = clock;
    this.#verifyLeading = verifyLeading;
  }

  /** All that is committed. */
  get image(): MetadataImage {
    return this.#image;
  }

  /** Does `work` while nobody else appends to the metadata log. */
  exclusively<T>(work: (log: PartitionLog) => Promise<T>): Promise<T> {
    return this.#serial.run(() => work(this.#log));
  }

  /** Decides on the newest image, appends, and answers once that is committed. @throws KafkaError as the append does. */
  change<Answer>(decide: (image: MetadataImage) => Change<Answer>): Promise<Answer> {
    return this.#serial.run(async () => {
      const { records, answer } = decide(this.#image);
      if (records.length > 0) {
        await this.#log.append(metadataBatches(records, this.#clock.wallMs()), 'coordinator');
        this.#image = applyMetadataRecords(this.#image, records);
      } else await this.#verifyLeading(); // a sleeper that wakes must not refuse what it has slept through
      return answer;
    });
  }
}
