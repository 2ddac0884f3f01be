import type { PartitionLog } from '../log/partition-log.js';
import type { LogId } from '../storage/log-store.js';

/** The logs that this broker leads, each opened when it is first used and then kept: opening a broker opens none. */
export class PartitionLogs {
  readonly #opening: Map<LogId, Promise<PartitionLog>> = new Map();

  /**
   * The open log. Callers that ask in some order go on in that order, so that appends keep theirs.
   * An opening that fails is tried again by the next caller.
   */
  get(log: LogId, open: () => Promise<PartitionLog>): Promise<PartitionLog> {
    const known = this.#opening.get(log);
    if (known !== undefined) return known;
    const opening = open();
    this.#opening.set(log, opening);
    opening.catch(() => this.#opening.delete(log));
    return opening;
  }

  /** The log, if it is open or being opened. */
  known(log: LogId): Promise<PartitionLog> | undefined {
    return this.#opening.get(log);
  }

  /**
   * Does `work` while the log is closed, then opens it again. Who held it open is refused as by a leader that has left,
   * and comes again; who asks for it meanwhile waits.
   */
  async exclusively<T>(log: LogId, work: () => Promise<T>, open: () => Promise<PartitionLog>): Promise<T> {
    const before = this.#opening.get(log);
    const working = (async (): Promise<T> => {
      await (await before?.catch(() => undefined))?.close();
      return work();
    })();
    const opening = working.then(open, open);
    this.#opening.set(log, opening);
    opening.catch(() => this.#opening.delete(log));
    return working;
  }

  /** Closes a log whose topic is gone; resolves when nothing of it is in flight. */
  async drop(log: LogId): Promise<void> {
    const opening = this.#opening.get(log);
    this.#opening.delete(log);
    await (await opening?.catch(() => undefined))?.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#opening.keys()].map((log) => this.drop(log)));
  }
}
