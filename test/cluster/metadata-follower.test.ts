import { expect, test } from 'vitest';
import { metadataBatches } from '../../src/broker/metadata-batches.js';
import { applyMetadataRecords, EMPTY_IMAGE, type MetadataImage } from '../../src/broker/metadata-image.js';
import { METADATA_LOG, type MetadataRecord } from '../../src/broker/metadata-records.js';
import { snapshotRecords } from '../../src/broker/metadata-snapshot.js';
import { HostLogViews } from '../../src/cluster/log-views.js';
import { MetadataFollower } from '../../src/cluster/metadata-follower.js';
import { STATIC_CLUSTER_PARTS } from '../../src/cluster/static-cluster-parts.js';
import { deleteRecordsBefore } from '../../src/log/log-upkeep.js';
import type { PartitionLog } from '../../src/log/partition-log.js';
import { Simulation } from '../../src/runtime/simulation.js';
import { calling } from '../log/calling.js';
import { leader } from '../log/harness.js';

/** The metadata log and what it comes to, as its one writer does. */
class Metadata {
  readonly images: string[] = [text(EMPTY_IMAGE)];
  image: MetadataImage = EMPTY_IMAGE;
  readonly #log: PartitionLog;
  #topics = 0;

  constructor(log: PartitionLog) {
    this.#log = log;
  }

  async write(records: readonly MetadataRecord[]): Promise<number> {
    this.image = applyMetadataRecords(this.image, records);
    this.images.push(text(this.image));
    return (await this.#log.append(metadataBatches(records, 0), 'coordinator')).baseOffset;
  }

  async create(): Promise<void> {
    const id = this.#topics++;
    const topic = { type: 'TopicRecord', name: `t${id}`, topicId: `id-${id}` } as const;
    await this.write([topic, { type: 'PartitionRecord', topicId: topic.topicId, partitionId: 0, log: id + 1 }]);
    if (id > 1) await this.write([{ type: 'RemoveTopicRecord', topicId: `id-${id - 2}` }]);
    const config = { type: 'ConfigRecord', resourceType: 4, resourceName: '1', name: 'num.partitions' } as const;
    await this.write([{ ...config, value: id % 3 === 0 ? null : `${id}` }]);
  }

  /** As `keepMetadataShort` does. */
  async snapshot(): Promise<void> {
    await deleteRecordsBefore(this.#log, await this.write(snapshotRecords(this.image)));
  }
}

// Goal: a host that follows the metadata log shows no image that the cluster never had, and comes to the newest one, whatever
// becomes of the log meanwhile. Method: at each of the calls that it makes to the store, one by one, more is written, or a
// snapshot takes the place of what it reads; nobody announces anything.
test.each<{ what: string; change: (metadata: Metadata) => Promise<unknown> }>([
  { what: 'written to', change: (metadata) => metadata.create() },
  { what: 'written anew', change: (metadata) => metadata.snapshot() },
  {
    what: 'written anew, and written to',
    change: async (metadata) => [await metadata.snapshot(), await metadata.create()],
  },
  { what: 'written anew twice', change: async (metadata) => [await metadata.snapshot(), await metadata.snapshot()] },
])('a metadata log that is $what while it is followed', async ({ change }) => {
  for (let calls = 1, isDone = false; !isDone; calls++) {
    const simulation = new Simulation({ seed: calls });
    const { open, store: inner } = await leader();
    const metadata = new Metadata(await open({ log: METADATA_LOG }));
    for (let i = 0; i < 10; i++) await metadata.create();
    let left = calls;
    const seen = new Set<string>();
    let follower: MetadataFollower | undefined;
    const store = calling(inner, async () => {
      if (follower !== undefined) seen.add(text(follower.image));
      if (--left === 0) await change(metadata);
    });
    const { runtime } = simulation.tab('follower');
    const { transactions, readAhead } = STATIC_CLUSTER_PARTS;
    const others = { isRead: () => false, onReads: () => {}, transactions, readAhead };
    const views = new HostLogViews({ clusterName: 'c', runtime, store, ...others });
    const followed = new MetadataFollower({ views, clock: runtime.clock });
    follower = followed;
    const follow = async (): Promise<void> => {
      const refreshed = followed.refresh(undefined);
      let isDone = false;
      refreshed.finally(() => (isDone = true)).catch(() => {});
      while (!isDone) {
        await simulation.run({ until: () => isDone, maxMs: 1_000 });
        if (!isDone) await import('../../src/log/salvage.js'); // a doubtful read loads it, outside of any queue of steps
      }
      await refreshed;
    };
    await follow();
    await metadata.create();
    await follow();
    isDone = left > 0;
    await follow();
    expect(text(followed.image)).toEqual(text(metadata.image));
    for (const image of seen) expect(metadata.images).toContain(image);
    followed.close();
    views.close();
  }
});

function text({ topics, removedLogs, ...others }: MetadataImage): string {
  return JSON.stringify({ ...others, topics: [...topics.values()], removedLogs: [...removedLogs] });
}
