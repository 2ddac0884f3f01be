import type { Envelope } from '../../src/cluster/transport.js';
import type { ProduceRequest } from '../../src/protocol/requests.js';
import { batchesIn, verifyBatch } from '../../src/record/batch-header.js';
import type { Runtime } from '../../src/runtime/runtime.js';
import { plainCopy } from '../../src/util/plain-copy.js';

/** `runtime`, which shows every Produce request that leaves a tab, as it leaves it. There are no direct lines. */
export function seenProduce(runtime: Runtime, see: (request: ProduceRequest) => void): Runtime {
  return {
    ...runtime,
    lines: undefined,
    channels: {
      open(name, onMessage) {
        const channel = runtime.channels.open(name, onMessage);
        const post = (data: unknown): void => {
          const { message } = data as Envelope;
          if (message?.type === 'request' && message.api === 'Produce')
            see(plainCopy(message.request) as ProduceRequest);
          channel.post(data);
        };
        return { post, close: () => channel.close() };
      },
    },
  };
}

/** How many batches there are. @throws KafkaError CORRUPT_MESSAGE: one of them cannot be checked. */
export function verifiedBatches({ topicData }: ProduceRequest): number {
  let count = 0;
  for (const { partitionData } of topicData) {
    for (const { records } of partitionData) {
      for (const { at } of batchesIn(records)) {
        verifyBatch(records, at);
        count++;
      }
    }
  }
  return count;
}
