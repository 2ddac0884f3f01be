import { PRODUCER_EVENTS } from '../api/events.js';
import type { Producer, ProducerConfig } from '../api/producer.js';
import { assertNumbers } from '../assert-numbers.js';
import { ASYNC_DISPOSE } from '../async-dispose.js';
import type { ClientContext } from '../client-context.js';
import { clientShell, connecting, ending, forwarding, LazyPart } from '../client-front.js';
import { KafkaJSNonRetriableError, KafkaJSNotImplemented } from '../errors.js';

/** A producer whose code is loaded when it is first used: what answers at once answers here. */
export function producerFront<K, V>(context: ClientContext, config: ProducerConfig<K, V>): Producer<K, V> {
  assertConfig(config);
  const shell = clientShell(context, { name: 'Producer', client: 'producer', events: PRODUCER_EVENTS });
  const disconnect = (): Promise<void> => ending(part, (body) => body.disconnect());
  const make = async () => (await context.parts.producer()).makeProducer(context, shell, config);
  const part = new LazyPart(make, context.track(disconnect));
  return {
    connect: connecting(part, context.shared),
    ...forwarding(part, ['send', 'sendBatch']),
    disconnect,
    flush: () => ending(part, (body) => body.flush()),
    isIdempotent: () => isIdempotent(config),
    transaction: async () => noTransactions(),
    ...shell.api,
    [ASYNC_DISPOSE]: disconnect,
  };
}

/** As Kafka's: what asks for no retries, and not for idempotence, wants neither. */
export function isIdempotent<K, V>({ idempotent, retry }: ProducerConfig<K, V>): boolean {
  return idempotent ?? retry?.retries !== 0;
}

function noTransactions(): never {
  throw new KafkaJSNotImplemented('Transactions are not implemented yet');
}

function assertConfig<K, V>(config: ProducerConfig<K, V>): void {
  const { idempotent, retry, transactionalId, linger = 0, deliveryTimeout = linger } = config;
  if (idempotent && retry?.retries !== undefined && retry.retries < 1) {
    throw new KafkaJSNonRetriableError('Idempotent producer must allow retries to protect against transient errors');
  }
  if (transactionalId !== undefined) noTransactions();
  assertNumbers({ ...retry, ...config });
  if (linger > deliveryTimeout) {
    throw new KafkaJSNonRetriableError(
      `Invalid linger, expected at most deliveryTimeout ${deliveryTimeout}, received ${linger}`,
    );
  }
}
