import { Kafka, logLevel } from '../../src/index.js';

// A client in a worker: dedicated, or shared where the browser lets a shared worker have workers of its own.

interface Task {
  readonly cluster: string;
  readonly value: string;
}

async function run({ cluster, value }: Task): Promise<string[]> {
  const kafka = new Kafka({ clientId: 'in a worker', cluster, logLevel: logLevel.NOTHING, retry: { retries: 1 } });
  try {
    await kafka.producer().send({ topic: 'met', messages: [{ value }] });
    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 'met', partition: 0, offset: '-2' }]);
    const [{ high = '' } = {}] = await kafka.admin().fetchTopicOffsets('met');
    const values: string[] = [];
    for await (const message of consumer) {
      values.push(message.value?.toString() ?? '');
      if (values.length === Number(high)) break;
    }
    return values;
  } finally {
    await kafka.close();
  }
}

function serve(port: Pick<MessagePort, 'postMessage' | 'onmessage'>): void {
  port.onmessage = ({ data }: MessageEvent<Task>): void => {
    run(data).then(
      (values) => port.postMessage({ values }),
      (error: unknown) => port.postMessage({ error: String(error) }),
    );
  };
}

if ('onconnect' in globalThis) {
  addEventListener('connect', (event) => {
    const [port] = (event as MessageEvent).ports;
    if (port) serve(port);
  });
} else {
  serve(globalThis as unknown as MessagePort);
}
