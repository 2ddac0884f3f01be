import { describe, expect, test } from 'vitest';
import { kafka, topic, useCluster } from './client-cluster.js';
import { readAll } from './read-all.js';

// Goal: what KafkaJS's own specs expect of a producer, and code written for it therefore relies on, is so here. Cases that other
// files here have are not repeated.

useCluster();

describe('a producer that says nothing of idempotence', () => {
  test('takes acks 1, and acks 0, which is answered at once; what cannot be sent is refused all the same', async () => {
    await topic('t');
    const own = kafka.producer();
    await own.connect();
    const [result] = await own.send({ topic: 't', acks: 1, messages: [{ value: '0' }] });
    expect(result).toMatchObject({ topicName: 't', partition: 0, errorCode: 0, baseOffset: '0' });
    expect(await own.send({ topic: 't', acks: 0, messages: [{ value: '1' }] })).toEqual([]);
    expect(await own.sendBatch({ acks: 0, topicMessages: [{ topic: 't', messages: [{ value: '2' }] }] })).toEqual([]);
    await expect(own.send({ topic: 't', acks: 0, messages: [{} as never] })).rejects.toThrow('without value');
    await expect(own.send({ topic: 'a b', acks: 0, messages: [{ value: '' }] })).rejects.toMatchObject({
      type: 'INVALID_TOPIC_EXCEPTION',
    });
    await own.disconnect(); // sends what nobody waits for
    expect((await readAll(kafka, 't')).map(({ value }) => String(value))).toEqual(['0', '1', '2']);
  });

  test('may want no retries', async () => {
    await topic('t');
    const own = kafka.producer({ retry: { retries: 0 } });
    expect(own.isIdempotent()).toBe(false);
    expect(await own.send({ topic: 't', acks: 0, messages: [{ value: '0' }] })).toEqual([]);
    expect(kafka.producer().isIdempotent()).toBe(true);
    expect(() => kafka.producer({ idempotent: true, retry: { retries: 0 } })).toThrow(
      'Idempotent producer must allow retries to protect against transient errors',
    );
  });
});
