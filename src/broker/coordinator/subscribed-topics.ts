import { KafkaError } from '../../protocol/errors.js';
import { FieldReader } from '../../protocol/fields.js';
import type { GroupState } from './group-state.js';

/**
 * The topics that members of a consumer group subscribe to, by what they gave for the protocol in use (Kafka's
 * ConsumerProtocolSubscription: version 2 · topics). undefined: they do not say, and it may be any topic.
 */
export function subscribedTopics({ members, protocolName }: GroupState): ReadonlySet<string> | undefined {
  const topics = new Set<string>();
  try {
    for (const { protocols } of members.values()) {
      const { metadata } = protocols.find(({ name }) => name === protocolName) ?? protocols[0]!;
      const fields = new FieldReader(metadata, 'a subscription');
      fields.int16();
      for (const topic of fields.list(() => fields.string())) topics.add(topic);
    }
    return topics;
  } catch (error) {
    if (error instanceof KafkaError) return undefined; // an assignor of somebody's own
    throw error;
  }
}
