import type { Consumer, ConsumerConfig } from '../api/consumer.js';
import type { ClientContext } from '../client-context.js';
import { KafkaJSNotImplemented } from '../errors.js';

export function makeConsumer<K, V>(_context: ClientContext, _config: ConsumerConfig<K, V>): Consumer<K, V> {
  throw new KafkaJSNotImplemented('consumer');
}
