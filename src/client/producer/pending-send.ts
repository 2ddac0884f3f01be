import { type Deferred, deferred } from '../../util/signal.js';
import type { RecordMetadata } from '../api/producer.js';

interface Acknowledged {
  /** `queue` stands for its partition, `ordinal` for its place there. */
  readonly batch: { readonly queue: object; readonly ordinal: number };
  readonly result: RecordMetadata;
}

/** One call of `send` on its way: it is done when all batches that hold records of it are. */
export class PendingSend {
  readonly #outcome: Deferred<RecordMetadata[]> = deferred();
  /** Where it had to wait before it came into batches: when its time is over. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  /** By partition: what is known of its first batch, of those that were acknowledged. */
  readonly #results = new Map<object, Acknowledged>();
  /** One more than the batches still out, until `allAdded`: a batch may be done before the last record is in one. */
  #open = 1;

  get promise(): Promise<RecordMetadata[]> {
    return this.#outcome.promise;
  }

  addBatch(): void {
    this.#open++;
  }

  allAdded(): void {
    this.#close();
  }

  /** A batch with records of this send was acknowledged; `baseOffset` is that of the first of them. Answers may overtake each other. */
  succeed(acknowledged?: Acknowledged): void {
    if (acknowledged) {
      const { queue, ordinal } = acknowledged.batch;
      const known = this.#results.get(queue);
      if (known === undefined || ordinal < known.batch.ordinal) this.#results.set(queue, acknowledged);
    }
    this.#close();
  }

  /** The first failure is that of the send. */
  fail(error: unknown): void {
    this.#outcome.reject(error);
    this.#close();
  }

  #close(): void {
    if (--this.#open === 0) this.#outcome.resolve(Array.from(this.#results.values(), ({ result }) => result));
  }
}
