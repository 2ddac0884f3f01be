import type { Consumer, StorageState } from '../../../src/index.js';
import { databaseName } from '../../../src/storage/schema.js';
import { type Read, type TabApi, type TabReports, type Variant, WEDGE_CHANNEL } from './tab-api.js';
import { kafkaOf } from './variants.js';

/** What paces a producer: the harness's answer to each report. Timers would be throttled in hidden tabs. */
const SENDS_IN_FLIGHT = 8;
const PADDING = '#';
/** Enough to have several reads under way at any time. */
const REREADERS = 3;

/** Set by the harness before the page loads; what was reported survives the tab. */
const reports = window as unknown as Partial<TabReports>;
const kafka = kafkaOf((new URLSearchParams(location.search).get('variant') ?? undefined) as Variant | undefined);
const storageStates: StorageState[] = [];
const followed: Read[] = [];
/** Kept from the garbage collector. */
const held: IDBDatabase[] = [];
let member: Consumer | undefined;
let isProducing = false;
let isInHaste = false;
/** WebKit goes on with the microtasks of a page that is no more: there every send fails at once, and the next one begins. */
let isOver = false;
addEventListener('pagehide', ({ persisted }) => {
  if (persisted) return;
  isOver = true;
  isProducing = false;
});
let nextPageShow = untilPageShow();
let production: Promise<void> = Promise.resolve();

const api: TabApi = {
  async createTopic(topic, partitions, config = {}) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await kafka.admin().createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }] });
  },

  watchStorage() {
    void (async () => {
      for await (const state of kafka.storage.changes()) storageStates.push(state);
    })();
  },

  storageStates: () => storageStates,

  async sendOne(topic, value, paddingBytes = 0) {
    const producer = kafka.producer();
    const messages = [{ value: value + padding(paddingBytes), partition: 0 }];
    try {
      const [metadata] = await producer.send({ topic, messages });
      return Number(metadata?.baseOffset);
    } finally {
      await producer.disconnect();
    }
  },

  async commitOffset(groupId, topic, offset) {
    await kafka.admin().setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: String(offset) }] });
  },

  usage: async () => (await navigator.storage.estimate()).usage ?? 0,

  wedgeNextWrite() {
    new BroadcastChannel(WEDGE_CHANNEL).postMessage('now');
  },

  async holdDatabase() {
    const opening = indexedDB.open(databaseName('default', 1));
    await new Promise((resolve, reject) => {
      opening.onsuccess = resolve;
      opening.onerror = () => reject(opening.error);
    });
    held.push(opening.result);
  },

  async startProducing(name, topic, partitions, { paddingBytes = 0, deliveryTimeoutMs } = {}) {
    const producer = kafka.producer(deliveryTimeoutMs === undefined ? {} : { deliveryTimeout: deliveryTimeoutMs });
    await producer.connect();
    isProducing = true;
    production = produce().then(() => producer.disconnect());

    async function produce(): Promise<void> {
      const inFlight = new Set<Promise<void>>();
      for (let sequence = 0; isProducing; sequence++) {
        const partition = sequence % partitions;
        const value = `${name}:${sequence}`;
        const sending: Promise<void> = producer
          .send({ topic, messages: [{ key: name, value: value + padding(paddingBytes), partition }] })
          .then(
            ([metadata]) => answered(reports.reportAck?.({ value, partition, offset: Number(metadata?.baseOffset) })),
            (error: unknown) => (isOver ? undefined : reports.reportFailure?.(value, String(error))),
          )
          .then(() => void inFlight.delete(sending));
        inFlight.add(sending);
        if (inFlight.size >= SENDS_IN_FLIGHT) await Promise.race(inFlight);
      }
      await Promise.all(inFlight);
    }
  },

  async stopProducing() {
    isProducing = false;
    await production;
  },

  async follow(topic) {
    const consumer = kafka.consumer();
    await consumeAll(consumer, topic, (read) => followed.push(read));
  },

  async reread(topic) {
    for (let i = 0; i < REREADERS; i++) {
      const consumer = kafka.consumer({ maxBytesPerPartition: 1 });
      await consumeAll(consumer, topic, ({ partition }) => consumer.seek({ topic, partition, offset: '0' }));
      addEventListener('pageshow', () => void consumer.disconnect(), { once: true });
    }
  },

  followed: () => followed,

  async joinGroup(groupId, topic) {
    member = kafka.consumer({ groupId, heartbeatInterval: 600_000, sessionTimeout: 1_800_000 });
    await member.subscribe({ topic });
    await member.run();
  },

  assignedCount: () => member?.assignment().length ?? 0,

  async handleIn(groupId, topic) {
    const consumer = kafka.consumer({ groupId });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    void consumer.run({
      autoCommitThreshold: 1, // at once, so that nothing is committed again in time that should not have been
      eachMessage: async ({ partition, message: { offset, value } }) => {
        if (!isInHaste) await answered(reports.beginHandling?.());
        const reported = answered(
          reports.reportHandled?.({ partition, offset: Number(offset), value: withoutPadding(value) }),
        );
        if (!isInHaste) await reported;
      },
    });
  },

  handleInHaste() {
    isInHaste = true;
  },

  async endOffsets(topic) {
    const offsets = await kafka.admin().fetchTopicOffsets(topic);
    return offsets.toSorted((a, b) => a.partition - b.partition).map(({ high }) => Number(high));
  },

  async damage() {
    const { findings, gaps } = await kafka.admin().checkLogs();
    return [...findings, ...gaps].map((found) => JSON.stringify(found));
  },

  async hosts() {
    const { hosts } = await kafka.admin().describeCluster();
    return hosts.map(({ hostId, controller, controllerEpoch, self }) => ({
      hostId,
      controller,
      controllerEpoch,
      self,
    }));
  },
};

/** Random, or the database would compress it away. */
function padding(bytes: number): string {
  if (bytes === 0) return '';
  const random = crypto.getRandomValues(new Uint8Array(bytes / 2));
  return `${PADDING}${Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function withoutPadding(value: Uint8Array | null): string {
  return value?.toString().split(PADDING)[0] ?? '';
}

/** A page that comes out of the back/forward cache gets no answer to what it reported before. */
async function answered(report: Promise<void> | undefined): Promise<void> {
  await Promise.race([report, nextPageShow]);
}

function untilPageShow(): Promise<void> {
  return new Promise((resolve) => {
    const shown = (): void => {
      nextPageShow = untilPageShow();
      resolve();
    };
    addEventListener('pageshow', shown, { once: true });
  });
}

async function consumeAll(consumer: Consumer, topic: string, onRead: (read: Read) => void): Promise<void> {
  const offsets = await kafka.admin().fetchTopicOffsets(topic);
  await consumer.connect();
  await consumer.assign(offsets.map(({ partition }) => ({ topic, partition, offset: '-2' })));
  await consumer.run({
    eachBatch: ({ batch }) => {
      for (const { offset, value } of batch.messages) {
        onRead({
          partition: batch.partition,
          offset: Number(offset),
          value: withoutPadding(value),
        });
      }
    },
  });
}

window.tab = api;
