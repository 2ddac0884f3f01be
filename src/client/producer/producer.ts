import type { Producer, ProducerConfig } from '../api/producer.js';
import type { ClientContext } from '../client-context.js';
import { KafkaJSNotImplemented } from '../errors.js';

export function makeProducer<K, V>(_context: ClientContext, _config: ProducerConfig<K, V>): Producer<K, V> {
  throw new KafkaJSNotImplemented('producer');
}
