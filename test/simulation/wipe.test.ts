import { expect, test } from 'vitest';
import { batchesIn } from '../../src/record/batch-header.js';
import { decodeRecords } from '../../src/record/record-batch-decoder.js';
import { seededRandom } from '../../src/runtime/seeded-random.js';
import type { MemoryDisk } from '../../src/storage/memory-disk.js';
import { ClusterSimulation, type RecordingProducer, type Tab } from './cluster-simulation.js';
import { chunksOnDisk, metadataOnDisk } from './disk-contents.js';
import { logText, type Read } from './history.js';

// Goal: when the site's data is cleared under producers and consumers, no offset of one incarnation is ever taken for one
// of another (C2, C18), nothing acknowledged was not written, nothing is stored twice or out of order, and all goes on.
// Method: what each incarnation held is read from the disk before it is wiped, and compared with all that clients saw.

const TOPIC = 'events';
const PARTITIONS = 2;
const GROUP = 'group';
const SEEDS = 60;
const SEEDS_PER_TEST = 20;

/** By log: values by offset. */
type Incarnation = ReadonlyMap<string, readonly (string | undefined)[]>;

for (let from = 0; from < SEEDS; from += SEEDS_PER_TEST) {
  test(`wiped data is never taken for new, seeds ${from} to ${from + SEEDS_PER_TEST - 1}`, async () => {
    const failures: string[] = [];
    for (let seed = from; seed < from + SEEDS_PER_TEST; seed++) {
      failures.push(...(await run(seed)).slice(0, 3).map((text) => `seed ${seed}: ${text}`));
    }
    expect(failures.join('\n')).toBe('');
  });
}

async function run(seed: number): Promise<string[]> {
  const random = seededRandom(seed + 77_000);
  const brokerConfig = { 'group.min.session.timeout.ms': '1000', 'num.partitions': String(PARTITIONS) };
  const faults = random.next() < 0.5 ? { messageDelayMs: [1, 300] as const, storageDelayMs: [0.2, 40] as const } : {};
  const cluster = new ClusterSimulation({ seed, brokerConfig, faults });
  const incarnations: Incarnation[] = [];
  let producing = true;

  async function produce(tab: Tab): Promise<void> {
    const config = { allowAutoTopicCreation: true, deliveryTimeout: 60_000 };
    const producer = await cluster.producer(tab, config);
    const inFlight = new Set<Promise<unknown>>();
    while (producing && !tab.stopping.signal.aborted) {
      const sending: Promise<unknown> = producer.send(TOPIC, random.below(PARTITIONS), 1 + random.below(3));
      inFlight.add(sending.finally(() => inFlight.delete(sending)));
      if (inFlight.size >= 8) await Promise.race(inFlight);
      await tab.platform.runtime.clock.sleep(random.next() * 120, tab.stopping.signal);
    }
  }

  function populate(tab: Tab): void {
    const ignore = (): void => {};
    produce(tab).catch(ignore);
    cluster.member(tab, GROUP, [TOPIC], random.below(20)).catch(ignore);
    cluster.reader(tab, TOPIC, [0, 1]).catch(ignore);
  }

  const first = cluster.openTab();
  await cluster.finish('creating the topic', createTopic(cluster, first));
  for (const tab of [first, cluster.openTab(), cluster.openTab()]) populate(tab);
  for (let wipes = 1 + random.below(3); wipes > 0; wipes--) {
    await cluster.runFor(500 + random.below(3_000));
    if (random.next() < 0.3 && cluster.awake.length > 1) cluster.kill(cluster.awake[0]!);
    if (random.next() < 0.3 && cluster.awake.length > 1) cluster.freeze(cluster.awake[0]!, random.below(4_000));
    incarnations.push(contents(cluster.disk));
    cluster.note('wiped');
    cluster.disk.wipe();
  }
  await cluster.runFor(2_000 + random.below(3_000));
  cluster.heal();
  populate(cluster.openTab());
  await cluster.runFor(2_000);
  producing = false;
  const living = (name: string): boolean => [...cluster.tabs.keys()].some((tab) => name.endsWith(`@${tab}`));
  const open = (): number =>
    cluster.history.sends.filter((send) => send.endMs === undefined && living(send.producer)).length;
  if (!(await cluster.runUntil(() => open() === 0))) cluster.history.stuck.push(`${open()} sends did not end`);
  await cluster.finish('a last record', lastRecords(cluster));
  incarnations.push(contents(cluster.disk));
  await cluster.runUntil(() => unreadAtEnd(cluster, incarnations.at(-1)!).length === 0);
  const unread = unreadAtEnd(cluster, incarnations.at(-1)!);
  await cluster.closeAll();
  return [
    ...cluster.history.stuck,
    ...unread,
    ...wrongWrites(cluster, incarnations),
    ...wrongReads(cluster, incarnations),
  ];
}

async function createTopic(cluster: ClusterSimulation, tab: Tab): Promise<true> {
  const topic = { name: TOPIC, numPartitions: PARTITIONS, replicationFactor: -1, assignments: [], configs: [] };
  await (await tab.host).send('CreateTopics', { timeoutMs: 10_000, validateOnly: false, topics: [topic] });
  cluster.note('topic created');
  return true;
}

async function lastRecords(cluster: ClusterSimulation): Promise<void> {
  const tab = [...cluster.tabs.values()].at(-1)!;
  const producer: RecordingProducer = await cluster.producer(tab, { allowAutoTopicCreation: true });
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const [send] = await producer.send(TOPIC, partition);
    if (send?.outcome !== 'ok') throw new Error(`it ended ${send?.outcome}: ${send?.error}`);
  }
}

/** All values on the disk now. */
function contents(disk: MemoryDisk): Incarnation {
  const partitions = metadataOnDisk(disk).topics.get(TOPIC)?.partitions ?? [];
  return new Map(
    partitions.map(({ partitionId, log }) => {
      const values: (string | undefined)[] = [];
      for (const chunk of chunksOnDisk(disk, log)) {
        for (const { at } of batchesIn(chunk)) {
          for (const { offset, value } of decodeRecords(chunk, at)) values[offset] = new TextDecoder().decode(value!);
        }
      }
      return [logText(TOPIC, partitionId), values];
    }),
  );
}

function wrongWrites({ history }: ClusterSimulation, incarnations: readonly Incarnation[]): string[] {
  const wrong: string[] = [];
  for (const { value, log, offset, outcome, error } of history.sends) {
    const places = incarnations.flatMap((incarnation, index) => {
      const found = (incarnation.get(log) ?? []).flatMap((other, at) => (other === value ? [at] : []));
      if (found.length > 1) wrong.push(`${value} is at ${log} offsets ${found.join(', ')} of incarnation ${index}`);
      return found;
    });
    if (outcome === 'ok' && !places.includes(offset ?? -1)) {
      wrong.push(`${value} was acknowledged at ${log} offset ${offset}, where no incarnation has it`);
    }
    if (outcome === 'failed' && places.length > 0) wrong.push(`${value} failed (${error}), and is there`);
  }
  const sends = new Map(history.sends.map((send) => [send.value, send]));
  for (const incarnation of incarnations) {
    for (const [log, values] of incarnation) {
      const last = new Map<string, number>();
      for (const value of values) {
        const send = sends.get(value ?? '');
        if (send === undefined) continue;
        if (send.order < (last.get(send.producer) ?? -1)) wrong.push(`${log}: ${value} comes after a later one`);
        last.set(send.producer, send.order);
      }
    }
  }
  return wrong;
}

/** Where a reader of a log may be. */
interface Place {
  readonly incarnation: number;
  readonly next: number;
}

/**
 * What a reader gets of a log is the beginning of one incarnation, then that of a later one, and so on. What was in doubt
 * when the data was cleared is sent again, so that two incarnations may begin alike: then it may be in either.
 */
function wrongReads({ history }: ClusterSimulation, incarnations: readonly Incarnation[]): string[] {
  const wrong: string[] = [];
  const places = new Map<string, readonly Place[]>();
  for (const { reader, group, log, offset, value } of history.reads) {
    const key = `${reader} on ${log}`;
    const before = places.get(key) ?? [{ incarnation: -1, next: 0 }];
    const after = incarnations.flatMap((each, incarnation): Place[] => {
      if (each.get(log)?.[offset] !== value) return [];
      const isReached = before.some((place) => {
        if (group !== undefined) return incarnation >= place.incarnation; // the group may have been further
        return incarnation === place.incarnation
          ? offset === place.next
          : incarnation > place.incarnation && offset === 0;
      });
      return isReached ? [{ incarnation, next: offset + 1 }] : [];
    });
    const expected = before.map(({ incarnation, next }) => `${next} of incarnation ${incarnation}`).join(', ');
    if (after.length === 0)
      wrong.push(`${key}: offset ${offset} is ${value}, expected to go on at ${expected} or anew`);
    places.set(key, after.length === 0 ? before : after);
  }
  return wrong;
}

/** What of the last incarnation the group, or one of the direct readers, has not read. */
function unreadAtEnd({ history, tabs }: ClusterSimulation, last: Incarnation): string[] {
  const values = [...last.values()].flat();
  const byReader = (reads: readonly Read[], who: string): string[] => {
    const read = new Set(reads.map(({ value }) => value));
    const left = values.filter((value) => value !== undefined && !read.has(value));
    return left.length === 0 ? [] : [`${who} never read ${left.length} records, such as ${left[0]}`];
  };
  const direct = new Set(history.reads.filter(({ group }) => group === undefined).map(({ reader }) => reader));
  const living = [...direct].filter((reader) => [...tabs.keys()].some((tab) => reader.endsWith(`@${tab}`)));
  return [
    ...byReader(
      history.reads.filter(({ group }) => group === GROUP),
      GROUP,
    ),
    ...living.flatMap((who) =>
      byReader(
        history.reads.filter(({ reader }) => reader === who),
        who,
      ),
    ),
  ];
}
