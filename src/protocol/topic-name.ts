import { KafkaError } from './errors.js';

const LEGAL_NAME = /^[a-zA-Z0-9._-]{1,249}$/;

/**
 * Refuses a name that Kafka refuses: empty, `.`, `..`, over 249 characters, or other characters than ASCII
 * letters, digits, `.`, `_` and `-`.
 * @throws KafkaError INVALID_TOPIC_EXCEPTION
 */
export function assertLegalTopicName(topic: string): void {
  if (typeof topic === 'string' && LEGAL_NAME.test(topic) && topic !== '.' && topic !== '..') return;
  throw new KafkaError(
    'INVALID_TOPIC_EXCEPTION',
    `topic name ${JSON.stringify(topic)} is illegal: expected 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-', other than '.' and '..'`,
  );
}
