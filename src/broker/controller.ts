import type { PartitionLog } from '../log/partition-log.js';
import type { Clock } from '../runtime/runtime.js';
import { Serial } from '../util/serial.js';
import type { Change } from './create-topics.js';
import { applyMetadataRecords, type MetadataImage } from './metadata-image.js';
import { metadataBatches } from './metadata-records.js';

/** The one writer of the metadata log: decide → append → apply → answer, one change at a time. */
export class Controller {
  readonly #log: PartitionLog;
  readonly #clock: Clock;
  readonly #serial: Serial = new Serial();
  readonly #onChanged: (log: PartitionLog) => void;
  #image: MetadataImage;

  /** `image` is what `log` holds so far; `onChanged` hears of every change. */
  constructor(log: PartitionLog, image: MetadataImage, clock: Clock, onChanged: (log: PartitionLog) => void) {
    this.#log = log;
    this.#image = image;
    this.#clock = clock;
    this.#onChanged = onChanged;
  }

  /** All that is committed. */
  get image(): MetadataImage {
    return this.#image;
  }

  /** Does `work` while nothing is appended to the metadata log. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    return this.#serial.run(work);
  }

  /** Decides on the newest image, appends, and answers once that is committed. @throws KafkaError as the append does. */
  change<Answer>(decide: (image: MetadataImage) => Change<Answer>): Promise<Answer> {
    return this.#serial.run(async () => {
      const { records, answer } = decide(this.#image);
      if (records.length > 0) {
        await this.#log.append(metadataBatches(records, this.#clock.wallMs()), 'coordinator');
        this.#image = applyMetadataRecords(this.#image, records);
        this.#onChanged(this.#log);
      }
      return answer;
    });
  }
}
