import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// Goal: a Node process that uses the embedded cluster lives exactly as long as somebody waits for it. Method: programs in
// processes of their own, which nothing but the cluster keeps alive; Node ends with 13 where an `await` never settles.

const TESTING = new URL('../../dist/testing/index.js', import.meta.url);

/** What the program prints until its process has ended by itself, without an error. */
function printed(program: string): string[] {
  const script = `
    import { Kafka, logLevel } from ${JSON.stringify(TESTING.href)};
    const kafka = new Kafka({ logLevel: logLevel.NOTHING });
    const later = (ms, action) => setTimeout(action, ms).unref();
    ${program}`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    encoding: 'utf8',
    timeout: 30_000,
  });
  return output.trim().split('\n');
}

test('a send that lingers is acknowledged, and a producer that nobody closes ends with the process', () => {
  const lines = printed(`
    const producer = kafka.producer({ linger: 300 });
    const [sent] = await producer.send({ topic: 't', messages: [{ value: 'x' }] });
    console.log('offset', sent.baseOffset);
    const second = await producer.send({ topic: 't', messages: [{ value: 'y' }] });
    console.log('offset', second[0].baseOffset);`);
  expect(lines).toEqual(['offset 0', 'offset 1']);
});

test('a call that is tried again goes on to its end', () => {
  const lines = printed(`
    const admin = kafka.admin({ retry: { retries: 2, initialRetryTime: 200 } });
    await admin.fetchTopicOffsets('nowhere').catch((error) => console.log(error.type));`);
  expect(lines).toEqual(['UNKNOWN_TOPIC_OR_PARTITION']);
});

test('a consumer keeps the process alive while it runs', () => {
  const lines = printed(`
    await kafka.admin().createTopics({ topics: [{ topic: 't' }] });
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 't' });
    await consumer.run({ eachMessage: async () => {} });
    later(500, () => {
      console.log('runs');
      consumer.pause([{ topic: 't' }]);
      later(500, () => console.log('paused'));
      later(600, async () => console.log('stopped', await consumer.stop()));
    });`);
  expect(lines).toEqual(['runs', 'paused', 'stopped undefined']);
});

test('an iteration waits for messages until it is broken off', () => {
  const lines = printed(`
    const consumer = kafka.consumer({ groupId: 'g' });
    await consumer.subscribe({ topic: 't', fromBeginning: true });
    await kafka.producer().send({ topic: 't', messages: [{ value: 'first' }] });
    later(500, () => kafka.producer().send({ topic: 't', messages: [{ value: 'last' }] }));
    for await (const message of consumer) {
      console.log(message.value.toString());
      if (message.value.toString() === 'last') break;
    }`);
  expect(lines).toEqual(['first', 'last']);
});
