import { describe, expect, test, vi } from 'vitest';
import { logLevel } from '../../src/index.js';
import { cluster, useCluster } from './client-cluster.js';

// Goal: what KafkaJS's own specs expect of loggers, and code written for it therefore relies on, is so here. Cases that other
// files here have are not repeated.

useCluster();

describe('loggers', () => {
  test('setLogLevel of one holds for all, but those that were made with a level of their own', () => {
    const written: string[] = [];
    const logged = new cluster.Kafka({
      logCreator:
        () =>
        ({ log }) =>
          void written.push(log.message),
    });
    const { consumer, producer } = {
      consumer: logged.consumer({ groupId: 'g' }).logger(),
      producer: logged.producer().logger(),
    };
    const own = logged.logger().namespace('Own', logLevel.INFO);
    const all = [logged.logger(), consumer, producer, own];
    logged.logger().setLogLevel(logLevel.ERROR);
    for (const [at, logger] of all.entries()) logger.info(`quiet ${at}`);
    producer.setLogLevel(logLevel.INFO);
    for (const [at, logger] of all.entries()) logger.info(`loud ${at}`);
    expect(written).toEqual(['quiet 3', 'loud 0', 'loud 1', 'loud 2', 'loud 3']);
  });

  test('the log creator is asked when the Kafka is made', () => {
    const logCreator = vi.fn(() => () => {});
    new cluster.Kafka({ logLevel: logLevel.DEBUG, logCreator });
    expect(logCreator).toHaveBeenCalledExactlyOnceWith(logLevel.DEBUG);
  });

  test.each(['error', 'warn', 'info', 'debug'] as const)('%s goes to the console, as one line of JSON', (severity) => {
    const method = severity === 'debug' ? 'log' : severity;
    const spy = vi.spyOn(console, method).mockImplementation(() => {});
    try {
      new cluster.Kafka({ logLevel: logLevel.DEBUG }).logger().namespace('Mine')[severity]('said', { extra: 1 });
      expect(spy).toHaveBeenCalledOnce();
      expect(JSON.parse(String(spy.mock.lastCall![0]))).toMatchObject({
        level: severity.toUpperCase(),
        message: '[Mine] said',
        extra: 1,
      });
    } finally {
      spy.mockRestore();
    }
  });
});
