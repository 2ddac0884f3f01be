/** `import 'tabstream/producer'`: the code of producers comes with the page, not when the first of them connects. */
import { addParts } from './client/client-parts.js';
import { makeProducer } from './client/producer/producer.js';

addParts({ producer: async () => ({ makeProducer }) });
