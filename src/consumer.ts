/** `import 'tabstream/consumer'`: the code of consumers comes with the page, not when the first of them connects. */
import { addParts } from './client/client-parts.js';
import { makeConsumer } from './client/consumer/consumer.js';
import { iterateMessages } from './client/consumer/message-iteration.js';

addParts({ consumer: async () => ({ makeConsumer }), iteration: async () => ({ iterateMessages }) });
