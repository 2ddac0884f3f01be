import { expect, test } from 'vitest';
import { LOADED_PARTS } from '../../src/client/client-parts.js';
import { makeConsumer } from '../../src/client/consumer/consumer.js';
import { consumerGroup } from '../../src/client/consumer/consumer-group.js';
import { iterateMessages } from '../../src/client/consumer/message-iteration.js';
import { makeProducer } from '../../src/client/producer/producer.js';
import '../../src/consumer-group.js';
import '../../src/producer.js';

test('what a page imports is there without being loaded', async () => {
  expect(await LOADED_PARTS.consumer()).toEqual({ makeConsumer });
  expect(await LOADED_PARTS.group()).toEqual({ consumerGroup });
  expect(await LOADED_PARTS.iteration()).toEqual({ iterateMessages });
  expect(await LOADED_PARTS.producer()).toEqual({ makeProducer });
});

test('what it does not import is still loaded when it is used', async () => {
  expect(await LOADED_PARTS.admin()).toHaveProperty('makeAdmin');
});
