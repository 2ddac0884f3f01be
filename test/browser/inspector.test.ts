import axe from 'axe-core';
import { assert } from 'chai';
import { Kafka, logLevel, type Message } from '../../src/index.js';
import { defineStreamInspector } from '../../src/inspector/index.js';
import { ODD_ENDINGS } from '../inspector/odd-endings.js';
import { deleteClusterDatabase, locksOf, newClusterName, until, upgradeClusterDatabase } from './cluster.js';
import { deepAll, isFocused } from './deep.js';

const MARKUP = '<img src=x onerror="window.injected = 1">';
const SCRIPT = '<script>window.injected = 2</script>';
const OVERRIDE = '\u202Egpj.exe';
const LARGE = 'y'.repeat(900_000);

/** Odd partition 1; partition 0 has the plain ones. */
const HOSTILE: readonly Message[] = [
  { key: MARKUP, value: SCRIPT, headers: { [MARKUP]: SCRIPT }, partition: 1 },
  { key: OVERRIDE, value: `{"name":"${OVERRIDE}"}`, partition: 1 },
  { key: null, value: null, partition: 1 },
  { key: Uint8Array.of(0, 1, 254, 255), value: new Uint8Array(300).fill(0xff), partition: 1 },
  { key: 'large', value: LARGE, partition: 1 },
];

describe('the stream inspector', function () {
  this.timeout(90_000);
  let cluster: string;
  let kafka: Kafka;
  let inspector: HTMLElement & { kafka?: Kafka };

  before(() => defineStreamInspector());

  beforeEach(async () => {
    cluster = newClusterName();
    kafka = new Kafka({
      clientId: 'inspected',
      cluster: { name: cluster, config: { 'group.initial.rebalance.delay.ms': '0' } },
      logLevel: logLevel.NOTHING,
    });
    await kafka.admin().createTopics({
      topics: [
        { topic: 'orders', numPartitions: 3 },
        { topic: 'nothing', numPartitions: 1 },
      ],
    });
    const producer = kafka.producer();
    await producer.connect();
    const plain = Array.from({ length: 250 }, (_, i) => ({
      key: `order-${i}`,
      value: JSON.stringify({ number: i }),
      timestamp: String(1_700_000_000_000 + i * 1000),
      partition: 0,
    }));
    await producer.send({ topic: 'orders', messages: plain });
    await producer.send({ topic: 'orders', messages: HOSTILE });

    inspector = document.createElement('stream-inspector');
    inspector.kafka = kafka;
    document.body.append(inspector);
  });

  afterEach(async () => {
    inspector.remove();
    await kafka.close();
  });

  it('lists topics with their partitions, records and bytes', async () => {
    await until('both topics are there', () => textsIn('tabstream-topics', 'tbody tr').length === 2);
    const rows = textsIn('tabstream-topics', 'tbody tr');
    assert.strictEqual(rows[0], 'nothing 1 0 0 B');
    assert.match(rows[1] ?? '', /^orders 3 255 9\d\d kB$/);
  });

  it('browses a partition by its ends, by offset, by time, and page by page', async () => {
    await openTopic('orders');
    assert.match(textsIn('tabstream-partitions', 'summary')[0] ?? '', /^3 partitions, 255 records, 9\d\d kB$/);
    await showsOffsets(150, 249);
    press('tabstream-records', 'Older');
    await showsOffsets(50, 149);
    press('tabstream-records', 'Newer');
    await showsOffsets(150, 249);
    press('tabstream-records', 'Oldest');
    await showsOffsets(0, 99);

    press('tabstream-records', 'UTC');
    await go({ offset: '42' });
    await showsOffsets(42, 141);
    assert.match(rowTexts()[0] ?? '', /^42 2023-11-14 22:14:02\.000 order-42 \{"number":42\}$/);
    await go({ offset: '', time: '2023-11-14T22:15:00' }); // 100 seconds after the first
    await showsOffsets(100, 199);
    await go({ offset: '100000', time: '' });
    await until('nothing is there', () => textsIn('tabstream-records', '.bar').some((text) => /none there/.test(text)));
  });

  it('a page ends where a partition ends with markers, an open transaction, or what compaction has left', async () => {
    for (const [index, { segment, values, high }] of ODD_ENDINGS.entries()) {
      const topic = `odd-${index}`;
      const admin = kafka.admin();
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] });
      await admin.importPartition({ topic, partition: 0, segments: [new Blob([segment])] });
      await admin.disconnect();
      press('stream-inspector', 'Topics');
      await openTopic(topic);
      const last = values.length - 1;
      const shown = values.length === 0 ? 'none there' : `shown 0 to ${last}`;
      const all = high === 1 ? 'offsets 0 to 0' : `offsets 0 to ${high - 1}`;
      await until(`${topic} is shown`, () =>
        textsIn('tabstream-records', '.bar').some(
          (text) => text.startsWith(`Partition 0, ${all}`) && text.includes(shown),
        ),
      );
      assert.lengthOf(rowTexts(), values.length);
      assert.isTrue(
        buttonsIn('tabstream-records', '.bar').find((one) => one.innerText === 'Newer')?.ariaDisabled === 'true',
      );
    }
  });

  it('says so where a partition holds nothing', async () => {
    await openTopic('nothing');
    await until(
      'it says so',
      () => textsIn('tabstream-records', '[role=status]')[0] === 'Partition 0 holds no records.',
    );
  });

  it('shows details with headers, opened by keyboard', async () => {
    await openTopic('orders');
    await choosePartition(1);
    const first = buttonsIn('tabstream-records', 'tbody')[0] as HTMLButtonElement;
    first.focus();
    isFocused(first);
    assert.strictEqual(first.getAttribute('aria-expanded'), 'false');
    first.click(); // what Enter and Space do to a button
    await until('it is open', () => first.getAttribute('aria-expanded') === 'true');
    assert.deepEqual(textsIn('tabstream-records', '.details dt'), [
      'Partition',
      'Time',
      'Size',
      'Key',
      'Value',
      `Header ${MARKUP}`,
    ]);
    assert.strictEqual(textsIn('tabstream-records', '.details dd').at(-1), SCRIPT);
    isFocused(first);
    first.click();
    await until('it is closed', () => textsIn('tabstream-records', '.details').length === 0);
  });

  it('shows what it does not trust as text', async () => {
    await openTopic('orders');
    await choosePartition(1);
    const [markup, override, nulls, binary, large] = rowTexts();
    assert.include(markup, `${MARKUP} ${SCRIPT}`);
    assert.include(override, '⟨U+202E⟩gpj.exe {"name":"⟨U+202E⟩gpj.exe"}');
    assert.match(nulls ?? '', /null null$/);
    assert.match(binary ?? '', /00 01 fe ff ff ff ff .*…$/);
    assert.isBelow(large?.length ?? 0, 300);
    for (const [i, button] of buttonsIn('tabstream-records', 'tbody').entries()) {
      button.click();
      await until('it is open', () => button.getAttribute('aria-expanded') === 'true');
      if (i === 4)
        assert.match(textsIn('tabstream-records', '.details dd')[4] ?? '', /yyy … and 800,000 characters more$/);
    }
    const root = shadowOf('tabstream-records');
    assert.lengthOf(root.querySelectorAll('img, script, iframe, object, embed, [onerror]'), 0);
    assert.notInclude(root.textContent ?? '', '\u202E');
    assert.notProperty(window, 'injected');
  });

  it('follows the live tail of all partitions', async () => {
    await openTopic('orders');
    press('tabstream-records', 'Live tail');
    await until(
      'it waits',
      () => textsIn('tabstream-records', '[role=status]')[0] === 'Live, all partitions. Waiting for records…',
    );
    const producer = kafka.producer();
    let sent = 0;
    await until('a record comes', async () => {
      await producer.send({ topic: 'orders', messages: [{ value: `live ${sent++}`, partition: sent % 3 }] });
      return rowTexts().length > 0;
    });
    await until('the newest comes first', () => rowTexts()[0]?.endsWith(`live ${sent - 1}`) ?? false);
    const messages = Array.from({ length: 3000 }, (_, i) => ({ value: `flood ${i}`, partition: 2 }));
    await producer.send({ topic: 'orders', messages });
    await until('the last is there', () => rowTexts()[0]?.endsWith('flood 2999') ?? false);
    assert.lengthOf(rowTexts(), 200);
    press('tabstream-records', 'Live tail');
    await until('the page is back', () =>
      textsIn('tabstream-records', '.bar').some((text) => text.startsWith('Partition 0, ')),
    );
  });

  it('shows groups with their lag, and hosts with the leader and its epoch', async () => {
    const consumer = kafka.consumer({ groupId: 'packing <b>&' });
    await consumer.subscribe({ topics: ['orders'], fromBeginning: true });
    let read = 0;
    await consumer.run({
      eachMessage: async () => {
        read++;
      },
    });
    await until('all is read', () => read === 255);
    await consumer.disconnect();
    await kafka.producer().send({ topic: 'orders', messages: [{ value: 'late', partition: 0 }] });

    press('stream-inspector', 'Groups');
    await until('the group is there', () => textsIn('tabstream-groups', 'section').length === 1);
    assert.strictEqual(textsIn('tabstream-groups', 'header')[0], 'packing <b>& Empty, 0 members total lag 1');
    assert.deepEqual(textsIn('tabstream-groups', 'tbody tr'), ['orders', '0 250 251 1', '1 5 5 0']);

    press('stream-inspector', 'Tabs');
    await until('the host leads', () => /leader 1 /.test(textsIn('tabstream-hosts', 'tbody tr')[0] ?? ''));
    assert.lengthOf(textsIn('tabstream-hosts', 'tbody tr'), 1);
    assert.include(textsIn('tabstream-hosts', 'tbody tr')[0], '(this tab)');
  });

  it('says how the storage is while not all is well, and what to do', async () => {
    const line = (): string => textsIn('tabstream-storage', '[role=alert]').join();
    await until('topics are there', () => textsIn('tabstream-topics', 'tbody tr').length === 2);
    assert.strictEqual(line(), '');
    await deleteClusterDatabase(cluster);
    await until('it says so', () => /^Storage reset: the data of this site was cleared.*begins anew/.test(line()));
    await kafka.admin().createTopics({ topics: [{ topic: 'another', numPartitions: 1 }] });
    await until('it is over', () => line() === '');

    press('stream-inspector', 'Tabs');
    await until('the host is ready', () => / ready /.test(textsIn('tabstream-hosts', 'tbody tr')[0] ?? ''));
    await upgradeClusterDatabase(cluster);
    await until('it says so', () => /^Storage read-only: .* newer version .* Reload the page/.test(line()));
    inspector.remove();
    await deleteClusterDatabase(cluster); // goes through: nobody holds on to data that is not for this version
  });

  it('opens its own connection by the name of the cluster, and removed leaves no consumer, admin or timer', async () => {
    await kafka.close();
    inspector.remove();
    for (const view of ['Topics', 'Groups', 'Tabs', 'orders', 'Live tail']) {
      const own = document.createElement('stream-inspector');
      own.setAttribute('cluster', cluster);
      inspector = own;
      document.body.append(own);
      await until('topics are there', () => textsIn('tabstream-topics', 'tbody tr').length === 2);
      if (view === 'Groups' || view === 'Tabs') press('stream-inspector', view);
      else if (view !== 'Topics') await openTopic('orders');
      if (view === 'Live tail') press('tabstream-records', view);
      assert.isNotEmpty(await locksOf(cluster));
      own.remove(); // in the middle of a load, too
      // Only clients that are all disconnected let go of the worker, which holds a lock while it lives.
      await until(`nothing of ${view} is left`, async () => (await locksOf(cluster)).length === 0);
    }
    // WebKit may keep the connection of a worker that ended while it was opening: a deletion then waits for ever.
    if (!isWebKit()) assert.deepEqual(await deleteClusterDatabase(cluster), { wasOpen: false });
  });

  it('put back into the page it goes on', async () => {
    await openTopic('orders');
    inspector.remove();
    document.body.append(inspector);
    await showsOffsets(150, 249);
  });

  it('says what went wrong, and shows the rest when it is over', async () => {
    inspector.remove();
    const broken = new Kafka({
      cluster: newClusterName(),
      logLevel: logLevel.NOTHING,
      worker: () => {
        throw new Error('no worker today');
      },
    });
    inspector.kafka = broken;
    document.body.append(inspector);
    await until('it says so', () =>
      /no worker today|cannot be made/.test(textsIn('tabstream-topics', '[role=alert]')[0] ?? ''),
    );
    inspector.kafka = kafka;
    await until('topics are there', () => textsIn('tabstream-topics', 'tbody tr').length === 2);
    await broken.close();
  });

  it('checks the logs, names damage, and repairs it on request', async () => {
    press('stream-inspector', 'Check');
    await until('the view is there', () => textsIn('tabstream-check', 'button').length === 1);
    press('tabstream-check', 'Check all logs');
    await until('all is whole', () =>
      (textsIn('tabstream-check', '[role=status]')[0] ?? '').startsWith('All is whole: 6 logs, '),
    );
    assert.deepEqual(
      buttonsIn('tabstream-check', '.bar').map((one) => one.innerText),
      ['Check all logs'],
    );
    await damageFirstRow(cluster);
    press('tabstream-check', 'Check all logs');
    await until('it is found', () => textsIn('tabstream-check', 'tbody tr').length > 0);
    assert.match(
      textsIn('tabstream-check', 'tbody tr')[0] ?? '',
      /^orders-0 corrupt 0–249 damaged expected a sound batch/,
    );
    for (const inlineSize of ['100%', '320px']) {
      inspector.style.inlineSize = inlineSize;
      const { violations } = await axe.run(inspector, { rules: { region: { enabled: false } } });
      assert.deepEqual(
        violations.map(({ id }) => id),
        [],
        inlineSize,
      );
      assert.isAtMost(shadowOf('tabstream-check').host.scrollWidth, inspector.clientWidth, inlineSize);
    }
    press('tabstream-check', 'Repair');
    await until('it is mended', () => /repaired, 0 left/.test(textsIn('tabstream-check', '[role=status]')[0] ?? ''));
    press('stream-inspector', 'Topics');
    await openTopic('orders');
    await until('the reader is told', () =>
      textsIn('tabstream-records', '[role=alert]').some((text) =>
        text.startsWith('Offsets 150 to 249 are lost (removed).'),
      ),
    );
  });

  it('gives a partition out as a segment of Kafka', async () => {
    await openTopic('orders');
    const names: string[] = [];
    const click = HTMLAnchorElement.prototype.click;
    HTMLAnchorElement.prototype.click = function (): void {
      names.push(this.download);
    };
    try {
      press('tabstream-records', 'Download');
      await until('the file is there', () => names.length > 0);
    } finally {
      HTMLAnchorElement.prototype.click = click;
    }
    assert.deepEqual(names, ['00000000000000000000.log']);
  });

  // ---------------------------------------------------------------- what a person sees and does

  function elementOf(name: string): HTMLElement | undefined {
    return name === 'stream-inspector' ? inspector : deepAll(inspector.shadowRoot, name)[0];
  }

  function shadowOf(name: string): ShadowRoot {
    const root = elementOf(name)?.shadowRoot;
    assert.exists(root, name);
    return root as ShadowRoot;
  }

  function textsIn(name: string, selector: string): string[] {
    const found = elementOf(name)?.shadowRoot?.querySelectorAll(selector) ?? [];
    return Array.from(found, (element) => (element as HTMLElement).innerText.replace(/\s+/g, ' ').trim());
  }

  function rowTexts(): string[] {
    return textsIn('tabstream-records', 'tr.row');
  }

  function buttonsIn(name: string, selector: string): HTMLButtonElement[] {
    return [...shadowOf(name).querySelectorAll<HTMLButtonElement>(`${selector} button`)];
  }

  function press(name: string, label: string): void {
    const button = [...shadowOf(name).querySelectorAll('button')].find((one) => one.innerText.trim() === label);
    assert.exists(button, `${name} has a button ${label}`);
    button?.click();
  }

  async function openTopic(topic: string): Promise<void> {
    await until(`${topic} is listed`, () => textsIn('tabstream-topics', 'tbody button').includes(topic));
    press('tabstream-topics', topic);
    await until('its partitions are there', () => textsIn('tabstream-partitions', 'summary').length === 1);
  }

  async function choosePartition(partition: number): Promise<void> {
    press('tabstream-partitions', String(partition));
    await until('it is shown', () =>
      textsIn('tabstream-records', '.bar').some((text) => text.startsWith(`Partition ${partition},`)),
    );
  }

  async function showsOffsets(first: number, last: number): Promise<void> {
    await until(`offsets ${first} to ${last} are shown`, () => {
      const rows = rowTexts();
      return rows.length === last - first + 1 && startsWith(rows[0], first) && startsWith(rows.at(-1), last);
    });
  }

  async function go(values: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, value] of Object.entries(values)) {
      const input = shadowOf('tabstream-records').querySelector<HTMLInputElement>(`[name=${name}]`);
      if (input) input.value = value;
    }
    press('tabstream-records', 'Go');
  }
});

/** One byte of the first records becomes another, beside all that runs. */
async function damageFirstRow(cluster: string): Promise<void> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(`tabstream/${cluster}/1`);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const transaction = database.transaction('chunks', 'readwrite');
  const store = transaction.objectStore('chunks');
  const request = store.openCursor(IDBKeyRange.bound([0], [10, Infinity]));
  request.onsuccess = () => {
    const cursor = request.result;
    const bytes = cursor?.value as Uint8Array | undefined;
    if (!new TextDecoder().decode(bytes).includes('order-100')) return cursor?.continue();
    bytes![100]! ^= 1;
    cursor?.update(bytes);
  };
  await new Promise((resolve) => (transaction.oncomplete = resolve));
  database.close();
}

function startsWith(row: string | undefined, offset: number): boolean {
  return row?.startsWith(`${offset} `) ?? false;
}

function isWebKit(): boolean {
  return /AppleWebKit/.test(navigator.userAgent) && !/Chrom/.test(navigator.userAgent);
}
