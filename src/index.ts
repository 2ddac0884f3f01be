export { KafkaError, type KafkaErrorName } from './protocol/errors.js';
