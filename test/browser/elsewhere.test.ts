import { assert } from 'chai';
import { Kafka, logLevel } from '../../src/index.js';
import { newClusterName } from './cluster.js';

// Clients that are in no window of their own: all of an origin meet in one cluster.
describe('a client', function () {
  this.timeout(60_000);
  let kafka: Kafka;
  let cluster: string;

  beforeEach(async () => {
    cluster = newClusterName();
    kafka = new Kafka({ clientId: 'page', cluster, logLevel: logLevel.NOTHING });
    await kafka.admin().createTopics({ topics: [{ topic: 'met', numPartitions: 1 }] });
    await kafka.producer().send({ topic: 'met', messages: [{ value: 'of the page' }] });
  });
  afterEach(() => kafka.close());

  it('in a dedicated worker', async () => {
    const worker = new Worker(new URL('./client.worker.ts', import.meta.url), { type: 'module' });
    const answer = await asked(worker, 'of a worker');
    worker.terminate();
    assert.deepEqual(answer, { values: ['of the page', 'of a worker'] });
  });

  it('in a shared worker, where that may have workers; elsewhere it says that it cannot', async () => {
    const { port } = new SharedWorker(new URL('./client.worker.ts', import.meta.url), {
      type: 'module',
      name: cluster,
    });
    const { values, error } = (await asked(port, 'of a shared worker')) as { values?: string[]; error?: string };
    port.close();
    if (error === undefined) assert.deepEqual(values, ['of the page', 'of a shared worker']);
    else assert.match(error, /^KafkaJSConnectionError: .*host\.worker\.js cannot be made \(ReferenceError: .*Worker/);
  });

  it('in a frame that is removed while it leads: another goes on', async () => {
    const led = newClusterName();
    const frame = document.createElement('iframe');
    document.body.append(frame);
    const { contentWindow, contentDocument } = frame;
    const sent = new Promise<string>((resolve) => {
      Object.assign(contentWindow ?? {}, { sent: resolve });
    });
    const script = contentDocument?.createElement('script') as HTMLScriptElement;
    script.type = 'module';
    script.textContent = `
      import { Kafka } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
      const producer = new Kafka({ clientId: 'frame', cluster: ${JSON.stringify(led)}, logLevel: 0 }).producer();
      const [{ baseOffset }] = await producer.send({ topic: 'met', messages: [{ value: 'of the frame' }] });
      sent(baseOffset);
      for (;;) await producer.send({ topic: 'met', messages: [{ value: 'more' }] });`;
    contentDocument?.body.append(script);
    assert.equal(await sent, '0');
    const beside = new Kafka({ clientId: 'page', cluster: led, logLevel: logLevel.NOTHING });
    const producer = beside.producer();
    await producer.send({ topic: 'met', messages: [{ value: 'of the page' }] });
    frame.remove();
    const [later] = await producer.send({ topic: 'met', messages: [{ value: 'later' }] });
    const [{ high = '' } = {}] = await beside.admin().fetchTopicOffsets('met');
    assert.equal(Number(later?.baseOffset), Number(high) - 1);
    await beside.close();
  });

  it('takes bytes that a frame made', async () => {
    const frame = document.createElement('iframe');
    document.body.append(frame);
    const { Uint8Array: Foreign } = frame.contentWindow as unknown as typeof globalThis;
    const bytes = Foreign.of(1, 2, 3);
    assert.notInstanceOf(bytes, Uint8Array);
    const [sent] = await kafka.producer().send({ topic: 'met', messages: [{ value: bytes }] });
    frame.remove();
    const consumer = kafka.consumer();
    await consumer.assign([{ topic: 'met', partition: 0, offset: sent?.baseOffset ?? '' }]);
    for await (const { value } of consumer) {
      assert.deepEqual([...(value ?? [])], [1, 2, 3]);
      break;
    }
  });

  function asked(port: Worker | MessagePort, value: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      port.onmessage = ({ data }: MessageEvent): void => resolve(data);
      port.addEventListener('error', (event) => reject(new Error(`it failed: ${(event as ErrorEvent).message}`)));
      port.postMessage({ cluster, value });
    });
  }
});
