import type { Kafka } from '../../src/index.js';
import { pause } from './forever.js';
import { deleteTopics } from './topics.js';

type Notice = 'stop' | 'reload';
/** Time for the other tabs to hear that they must stop, so that none of them makes a topic anew. */
const STOPPING_MS = 500;

/** Empties the demo in all tabs: each stops, one deletes the topics, each reloads. */
export class StartOver {
  readonly #kafka: Kafka;
  readonly #stop: () => void;
  readonly #channel = new BroadcastChannel('demo start over');

  /** `stop` ends all that this tab does. */
  constructor(kafka: Kafka, stop: () => void) {
    this.#kafka = kafka;
    this.#stop = stop;
    this.#channel.onmessage = ({ data }: MessageEvent<Notice>) => {
      if (data === 'stop') this.#stop();
      else location.reload();
    };
  }

  async run(): Promise<void> {
    this.#tell('stop');
    this.#stop();
    await pause(STOPPING_MS);
    await deleteTopics(this.#kafka);
    this.#tell('reload');
    location.reload();
  }

  #tell(notice: Notice): void {
    this.#channel.postMessage(notice);
  }
}
