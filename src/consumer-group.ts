/** `import 'tabstream/consumer-group'`: as `tabstream/consumer`, with what a consumer with a `groupId` needs besides. */
import { addParts } from './client/client-parts.js';
import { makeConsumer } from './client/consumer/consumer.js';
import { consumerGroup } from './client/consumer/consumer-group.js';
import { iterateMessages } from './client/consumer/message-iteration.js';

addParts({
  consumer: async () => ({ makeConsumer }),
  iteration: async () => ({ iterateMessages }),
  group: async () => ({ consumerGroup }),
});
