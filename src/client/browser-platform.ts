import { pageRuntime } from '../runtime/browser-runtime.js';
import type { ClientRuntime } from '../runtime/runtime.js';
import { warmStorage } from '../runtime/warm-storage.js';
import { openWorkerLink } from '../runtime/worker-links.js';
import type { Kafka as KafkaClient } from './api/kafka.js';
import { type ClientPlatform, type KafkaConstructor, kafkaOn } from './kafka.js';

let runtime: ClientRuntime | undefined;

/** A page with its host worker. Nothing of the platform is touched before the first client connects. */
const browserPlatform: ClientPlatform = {
  get runtime() {
    runtime ??= pageRuntime();
    return runtime;
  },
  connect({ clusterName, brokerConfig, label, worker, memoryIfDenied, keys }) {
    warmStorage();
    return openWorkerLink({
      runtime: this.runtime,
      start: { clusterName, brokerConfig, label: pageLabel() ?? label, memoryIfDenied },
      keys,
      workerUrl: 'host.worker.js',
      newWorker: typeof worker === 'function' ? worker : () => worker ?? newHostWorker(),
    });
  },
};

/** The only place that names the worker, in the one form that bundlers follow. */
function newHostWorker(): Worker {
  return new Worker(new URL('../../workers/host.worker.ts', import.meta.url), { type: 'module' });
}

/** What a person knows this tab by. */
function pageLabel(): string | undefined {
  if (typeof document === 'undefined' || document.title === '') return undefined;
  return `${document.title} (${location.pathname})`;
}

/** Kafka in the tabs of this origin, with the API of KafkaJS. */
export const Kafka: KafkaConstructor = kafkaOn(browserPlatform);
export type Kafka = KafkaClient;
