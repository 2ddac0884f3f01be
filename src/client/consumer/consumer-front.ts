import type { ConsumedMessage, Consumer, ConsumerConfig, TopicPartitions } from '../api/consumer.js';
import { CONSUMER_EVENTS } from '../api/events.js';
import { assertNumbers } from '../assert-numbers.js';
import { ASYNC_DISPOSE } from '../async-dispose.js';
import type { ClientContext } from '../client-context.js';
import { clientShell, connecting, ending, forwarding, LazyPart } from '../client-front.js';
import { KafkaJSNonRetriableError } from '../errors.js';
import { assertTopicPartition, assertTopicPartitions, notRunning, positionOf } from './arguments.js';

/** A consumer whose code is loaded when it is first used: what answers at once answers here. */
export function consumerFront<K, V>(context: ClientContext, config: ConsumerConfig<K, V>): Consumer<K, V> {
  assertConfig(config);
  const shell = clientShell(context, { name: 'Consumer', client: 'consumer', events: CONSUMER_EVENTS });
  const disconnect = (): Promise<void> => ending(part, (body) => body.disconnect());
  const part = new LazyPart(async () => {
    const { parts } = context;
    const group = config.groupId === undefined ? undefined : parts.group();
    const [{ makeConsumer }, loaded] = await Promise.all([parts.consumer(), group]);
    return makeConsumer(context, shell, config, loaded?.consumerGroup);
  }, context.track(disconnect));

  const iteration = new LazyPart(() => context.parts.iteration());

  async function* messages(options?: Parameters<Consumer['messages']>[0]): AsyncGenerator<ConsumedMessage<K, V>> {
    const [body, { iterateMessages }] = await Promise.all([part.load(), iteration.load()]);
    yield* iterateMessages(body, shell.instrumentation, options);
  }

  function changePaused(topics: readonly TopicPartitions[] = [], pause: boolean): void {
    if (!Array.isArray(topics)) throw new KafkaJSNonRetriableError(`Invalid topics array ${topics}`);
    for (const entry of topics) assertTopicPartitions(entry, pause);
    running(part.loaded).changePaused(topics, pause);
  }

  return {
    connect: connecting(part, context.shared),
    ...forwarding(part, ['subscribe', 'assign', 'run', 'commitOffsets', 'describeGroup']),
    disconnect,
    stop: () => ending(part, (body) => body.stop()),
    messages,
    [Symbol.asyncIterator]: () => messages(),
    seek(given) {
      const { topic, partition, offset } = given ?? {};
      assertTopicPartition(topic, partition);
      const target = { topic, partition: Number(partition), position: positionOf(offset) };
      running(part.loaded).seek(target);
    },
    pause: (topics) => changePaused(topics, true),
    resume: (topics) => changePaused(topics, false),
    paused: () => part.loaded?.paused() ?? [],
    assignment: () => part.loaded?.assignment() ?? [],
    ...shell.api,
    [ASYNC_DISPOSE]: disconnect,
  };
}

function running<T>(body: T | undefined): T {
  if (body === undefined) throw notRunning();
  return body;
}

function assertConfig<K, V>(config: ConsumerConfig<K, V>): void {
  const { groupId, sessionTimeout = 30_000, heartbeatInterval = 3_000, onGap = 'skip' } = config;
  assertNumbers({ ...config.retry, ...config });
  if (onGap !== 'skip' && onGap !== 'fail') {
    throw new KafkaJSNonRetriableError(`Invalid onGap, expected 'skip' or 'fail' received ${String(onGap)}`);
  }
  if (groupId !== undefined && (typeof groupId !== 'string' || groupId === '')) {
    throw new KafkaJSNonRetriableError('Consumer groupId must be a non-empty string.');
  }
  if (heartbeatInterval >= sessionTimeout) {
    throw new KafkaJSNonRetriableError(
      `Consumer heartbeatInterval (${heartbeatInterval}) must be lower than sessionTimeout (${sessionTimeout}). It is recommended to set heartbeatInterval to approximately a third of the sessionTimeout.`,
    );
  }
}
