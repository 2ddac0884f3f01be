import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { applyMetadataRecords, EMPTY_IMAGE, type MetadataImage } from '../../src/broker/metadata-image.js';
import { METADATA_LOG, type MetadataRecord } from '../../src/broker/metadata-records.js';
import { SNAPSHOT_RECORDS, snapshotRecords } from '../../src/broker/metadata-snapshot.js';
import { type Kafka, logLevel } from '../../src/index.js';
import { MemoryLogStore } from '../../src/storage/memory-log-store.js';
import { InProcessCluster } from '../../src/testing/index.js';

type Step =
  | { readonly do: 'create'; readonly topic: number; readonly partitions: number }
  | { readonly do: 'remove'; readonly topic: number }
  | { readonly do: 'configure'; readonly topic: number; readonly value: number | undefined }
  | { readonly do: 'configureBroker'; readonly value: number | undefined }
  | { readonly do: 'deleteLogs' }
  | { readonly do: 'giveProducerIds' };

const topic = fc.nat(3);
const value = fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('create' as const), topic, partitions: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant('remove' as const), topic }),
  fc.record({ do: fc.constant('configure' as const), topic, value }),
  fc.record({ do: fc.constant('configureBroker' as const), value }),
  fc.record({ do: fc.constant('deleteLogs' as const) }),
  fc.record({ do: fc.constant('giveProducerIds' as const) }),
);

/** What the controller would write. */
function recordsOf(image: MetadataImage, each: Step, at: number): MetadataRecord[] {
  const name = 'topic' in each ? `t${each.topic}` : '';
  const found = image.topics.get(name);
  const config = (resourceType: number, resourceName: string, key: string, set: number | undefined) =>
    [
      { type: 'ConfigRecord', resourceType, resourceName, name: key, value: set === undefined ? null : `${set}` },
    ] as const;
  switch (each.do) {
    case 'create': {
      if (found !== undefined) return [];
      const topicId = `id-${at}`;
      const partitions = Array.from({ length: each.partitions }, (_, partitionId) => {
        return { type: 'PartitionRecord', topicId, partitionId, log: image.nextLogId + partitionId } as const;
      });
      return [{ type: 'TopicRecord', name, topicId }, ...partitions];
    }
    case 'remove':
      return found ? [{ type: 'RemoveTopicRecord', topicId: found.topicId }] : [];
    case 'configure':
      return found ? [...config(2, name, 'retention.ms', each.value)] : [];
    case 'configureBroker':
      return [...config(4, '1', 'num.partitions', each.value)];
    case 'deleteLogs':
      return image.removedLogs.size > 0 ? [{ type: 'RemoveLogsRecord', logs: [...image.removedLogs] }] : [];
    case 'giveProducerIds':
      return [{ type: 'ProducerIdsRecord', nextProducerId: image.nextProducerId + 1000 }];
  }
}

// Goal: nothing of the metadata is lost with what a snapshot replaces, whoever reads it: a new host, one that has followed
// all, or a leader that finds the snapshot behind all that it was to replace. Method: random histories.
test('a snapshot replays to what it was made of, alone and behind any part of the history', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(), (steps, cut) => {
      let image = EMPTY_IMAGE;
      const images = [image];
      for (const [at, each] of steps.entries()) {
        image = applyMetadataRecords(image, recordsOf(image, each, at));
        images.push(image);
      }
      const records = snapshotRecords(image);
      expect(applyMetadataRecords(EMPTY_IMAGE, records)).toEqual(image);
      expect(applyMetadataRecords(image, records)).toEqual(image);
      const earlier = images[cut % images.length]!;
      const later = applyMetadataRecords(earlier, snapshotRecords(earlier));
      expect(later).toEqual(earlier); // an early snapshot changes nothing of what follows
    }),
    { numRuns: 500 },
  );
});

// Goal: what topics came and went leaves neither space nor reading behind. Method: 10,000 topics are made, configured and
// deleted beside a second host, which follows; then all hosts go, and new ones read what is left.
test('ten thousand topics that came and went leave a short metadata log, which every host reads', async () => {
  const cluster = new InProcessCluster();
  const kafka: Kafka = new cluster.Kafka({ clientId: 'test', logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.createTopics({ topics: [{ topic: 'stays', numPartitions: 2 }] });
  const follower = await cluster.addHost();
  for (let round = 0; round < 100; round++) {
    const topics = Array.from({ length: 100 }, (_, i) => `t-${round}-${i}`);
    await admin.createTopics({ topics: topics.map((name) => ({ topic: name, numPartitions: 1 })) });
    await admin.alterConfigs({
      validateOnly: false,
      resources: topics.map((name) => ({ type: 2, name, configEntries: [{ name: 'retention.ms', value: '1000' }] })),
    });
    await admin.deleteTopics({ topics });
  }
  const metadata = async (): Promise<string[]> => {
    const answer = await follower.send('Metadata', { topics: null, allowAutoTopicCreation: false });
    return answer.topics.map(({ name }) => name ?? '');
  };
  expect(await metadata()).toEqual(['stays']);
  await admin.createTopics({ topics: [{ topic: 'last', numPartitions: 1 }] });
  expect((await metadata()).sort()).toEqual(['last', 'stays']);

  const store = await MemoryLogStore.open(cluster.disk, { newIncarnationId: 'test' });
  const recordCount = async (): Promise<number> => {
    const { logStartOffset, lastOffset = -1 } = await store.ends(METADATA_LOG);
    return lastOffset + 1 - logStartOffset;
  };
  // Logs that wait for their deletion are part of the metadata.
  await vi.waitFor(async () => expect(await recordCount()).toBeLessThan(SNAPSHOT_RECORDS), 30_000);
  expect((await store.ends(METADATA_LOG)).lastOffset).toBeGreaterThan(4 * 10_000);
  expect(cluster.disk.sizeInBytes).toBeLessThan(2 * 1024 * 1024);
  await store.close();
  await admin.disconnect();
  await kafka.close();
  await cluster.close();

  const late = await cluster.addHost();
  const answer = await late.send('Metadata', { topics: null, allowAutoTopicCreation: false });
  expect(answer.topics.map(({ name }) => name).sort()).toEqual(['last', 'stays']);
  await cluster.close();
}, 120_000);
