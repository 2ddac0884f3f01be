import { expect, test } from 'vitest';
import { Progress } from '../../demo/scenarios/progress.js';
import { logLevel } from '../../src/index.js';
import { InProcessCluster } from '../../src/testing/index.js';
import { deferred } from '../../src/util/signal.js';

test('however often the progress of a topic is looked at, one client does it', async () => {
  await using cluster = new InProcessCluster();
  const kafka = new cluster.Kafka({ logLevel: logLevel.NOTHING });
  const newAdmin = kafka.admin.bind(kafka);
  const admin = newAdmin();
  await admin.createTopics({ topics: [{ topic: 't', numPartitions: 1 }] });
  let made = 0;
  kafka.admin = (config) => {
    made++;
    return newAdmin(config);
  };
  const ended = new AbortController();
  const enough = deferred();
  let looks = 0;
  const onChange = (): void => {
    if (++looks === 3) enough.resolve();
  };
  const dataset = { topic: 't', file: '', rowCount: 1, partitionCount: 1 };
  const progress = new Progress(
    kafka,
    { ...dataset, load: async () => [], keyOf: () => null, timestampOf: () => undefined },
    onChange,
  );
  progress.start(ended.signal);
  await enough.promise;
  ended.abort();
  expect({ made, records: progress.records }).toEqual({ made: 1, records: 0 });
  await kafka.close();
});
