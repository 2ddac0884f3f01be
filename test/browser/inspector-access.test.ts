import axe from 'axe-core';
import { assert } from 'chai';
import { Kafka, type LogCheck, logLevel, type StorageState } from '../../src/index.js';
import { defineStreamInspector } from '../../src/inspector/index.js';
import { newClusterName, until } from './cluster.js';
import { deepActiveElement, deepAll, isFocused, textOf } from './deep.js';
import { partitions, type Told, toldKafka } from './told-cluster.js';

const LONG_NAME = 'a-long-name.'.repeat(20);
const TRILLION = 1_000_000_000_000;

const FOUND: LogCheck = {
  checkedLogs: 12,
  checkedBytes: 123_456_789,
  findings: [
    {
      ...{ topic: 'orders', partition: 0, log: 1, kind: 'corrupt', repaired: false },
      ...{ fromOffset: '999999999000', nextOffset: '999999999999' },
      detail: `expected a sound batch at byte 1234567 of ${'0'.repeat(60)}.log`,
    },
  ],
  gaps: [{ topic: 'orders', partition: 0, fromOffset: '5', nextOffset: '10' }],
} as unknown as LogCheck;

describe('the stream inspector, by keyboard, by ear and in narrow places', function () {
  this.timeout(120_000);
  let inspector: HTMLElement & { kafka?: Kafka };
  let told: Told;
  let opened: Kafka | undefined;

  before(() => defineStreamInspector());

  beforeEach(() => {
    told = {
      logs: [
        { topic: 'orders', partitions: partitions(3, 250) },
        { topic: LONG_NAME, partitions: partitions(1, TRILLION) },
        { topic: 'wide', partitions: partitions(200, 7) },
      ],
      hosts: [true, false].map((self) => ({
        ...{ hostId: `${self}-host`, label: 'A browser on a system', self, controller: self, controllerEpoch: 3 },
        ...{ visible: self, storage: self ? 'ready' : 'degraded-memory', joinedAtMs: 1_700_000_000_000 },
      })) as Told['hosts'],
      groups: [
        { groupId: 'packing', topic: 'orders', offsets: ['250', '0', '9'] },
        { groupId: 'g'.repeat(200), topic: LONG_NAME, offsets: ['1'] },
      ],
      check: async () => FOUND,
      storage: { status: 'ready' } as StorageState,
    };
  });

  afterEach(async () => {
    inspector.remove();
    await opened?.close();
    opened = undefined;
    document.documentElement.style.colorScheme = '';
  });

  describe('has no fault that axe can find, light and dark, wide and narrow', () => {
    it('with topics, many and none', async () => {
      await show(toldKafka(told));
      await until('topics are there', () => rows().length === 3);
      await hasNoFault('topics');
      told.logs = [];
      await until('they are gone', () => all('p.empty').length === 1);
      await hasNoFault('no topics');
    });

    it('while it loads, and where it cannot', async () => {
      await show(toldKafka({ ...told, hangs: true }));
      await until('it loads', () => all('p[role=status]').length === 1);
      await hasNoFault('loading');
      await show(toldKafka({ ...told, fails: new Error('no worker today') }));
      await until('it says so', () => all('[role=alert]').length === 1);
      await hasNoFault('broken');
    });

    it('with groups and their lag, and with tabs', async () => {
      await show(toldKafka(told));
      press('Groups');
      await until('groups are there', () => all('h3').length === 2);
      await hasNoFault('groups');
      press('Tabs');
      await until('tabs are there', () => rows().length === 2);
      await hasNoFault('tabs');
    });

    it('with a check of the logs, under way and done', async () => {
      let end = (_check: LogCheck): void => {};
      const found = new Promise<LogCheck>((resolve) => {
        end = resolve;
      });
      told.check = (progress) => {
        progress(3);
        return found;
      };
      await show(toldKafka(told));
      press('Check');
      await until('it can begin', () => button('Check all logs') !== undefined);
      press('Check all logs');
      await until('it is under way', () => all('progress').length === 1);
      await hasNoFault('checking');
      end(FOUND);
      await until('it is done', () => rows().length === 2);
      await hasNoFault('checked');
    });

    it('with each notice about the storage', async () => {
      const reason = 'the browser refuses storage to this site';
      const states = [
        { status: 'full', usage: 10_700_000_000, quota: 10_700_000_000 },
        { status: 'degraded-memory', reason },
        { status: 'read-only', reason, readable: true },
      ] as unknown as StorageState[];
      for (const storage of states) {
        await show(toldKafka({ ...told, storage }));
        await until('it says so', () => all('[part=storage]').length === 1 && rows().length === 3);
        await hasNoFault(storage.status);
      }
    });

    it('with a page of records, one of them open, and with the live tail', async () => {
      const kafka = await openOrders();
      all<HTMLButtonElement>('tr.row button')[0]?.click();
      await until('it is open', () => all('.details').length === 1);
      await hasNoFault('record');
      await tail(kafka, 3);
      await hasNoFault('tail');
    });
  });

  describe('keeps focus, selection, scroll position and what is open', () => {
    it('while topics come and go', async () => {
      await show(toldKafka(told));
      await until('topics are there', () => rows().length === 3);
      const orders = button('orders') as HTMLButtonElement;
      orders.focus();
      told.logs = [{ topic: 'another', partitions: partitions(1) }, ...told.logs];
      await until('another is there', () => rows().length === 4);
      isFocused(orders);
      assert.strictEqual(textOf(orders), 'orders');
    });

    it('through loads that fail', async () => {
      await show(toldKafka(told));
      await until('topics are there', () => rows().length === 3);
      const orders = button('orders') as HTMLButtonElement;
      orders.focus();
      told.fails = new Error('the database does not answer');
      await until('it says so', () => all('[role=alert]').length === 1);
      isFocused(orders);
      told.fails = undefined;
      await until('it is over', () => all('[role=alert]').length === 0);
      isFocused(orders);
    });

    it('from the list to a topic and back', async () => {
      await openOrders();
      assert.strictEqual(textOf(deepActiveElement() as HTMLElement), 'orders');
      assert.strictEqual(deepActiveElement()?.localName, 'h3');
      press('All topics');
      await until('its row has the focus', () => deepActiveElement() === button('orders'));
    });

    it('at the last page', async () => {
      await openOrders();
      const older = button('Older') as HTMLButtonElement;
      older.focus();
      for (const first of ['50', '0']) {
        older.click();
        await until(`offset ${first} is shown`, () => textOf(all('tr.row button')[0]) === first);
        assert.strictEqual(all('.rows')[0]?.scrollTop, 0);
      }
      assert.strictEqual(older.getAttribute('aria-disabled'), 'true');
      older.click(); // leads nowhere
      isFocused(older);
    });

    it('when a check begins, is stopped and repairs', async () => {
      let checks = 0;
      told.check = () => (++checks === 1 ? new Promise(() => {}) : Promise.resolve(FOUND));
      await show(toldKafka(told));
      press('Check');
      await until('it can begin', () => button('Check all logs') !== undefined);
      const check = button('Check all logs') as HTMLButtonElement;
      check.focus();
      check.click();
      await until('it can be stopped', () => button('Stop') !== undefined);
      isFocused(check);
      check.click(); // one is under way
      assert.strictEqual(checks, 1);
      button('Stop')?.focus();
      press('Stop');
      await until('it is stopped', () => button('Stop') === undefined);
      isFocused(check);
      check.click();
      await until('a repair is offered', () => button('Repair') !== undefined);
      told.check = () => new Promise(() => {});
      button('Repair')?.focus();
      press('Repair');
      await until('it can be stopped', () => button('Stop') !== undefined);
      isFocused(button('Stop'));
    });

    it('while the tail grows: a record that is open stands still', async () => {
      const kafka = await openOrders();
      const count = await tail(kafka, 3);
      const [first] = all<HTMLButtonElement>('tr.row button');
      const name = first?.getAttribute('aria-label');
      first?.focus();
      first?.click();
      await until('it is open', () => all('.details').length === 1);
      const value = all('.details pre').at(-1) as HTMLElement;
      getSelection()?.selectAllChildren(value);
      await send(kafka, 300);
      await until('they are counted', () => bar().includes('300 of them since'));
      isFocused(first);
      assert.strictEqual(first?.getAttribute('aria-label'), name);
      assert.isTrue(value.isConnected);
      assert.lengthOf(all('tr.row'), count);
      assert.strictEqual(textOf(all('span[role=status]')[0]), 'The tail stands still while a record is open.');

      key(first, 'Escape');
      await until('it is closed and the tail goes on', () => all('tr.row').length === 200 && !all('.details').length);
    });

    it('while the tail grows: the row that a person reads stays where it is, and paused all do', async () => {
      const kafka = await openOrders();
      const count = await tail(kafka, 60);
      const list = all('.rows')[0] as HTMLElement;
      list.scrollTop = 500;
      const read = all('tr.row').find(({ offsetTop }) => offsetTop >= 500) as HTMLElement;
      const button = read.querySelector('button') as HTMLButtonElement;
      button.focus({ preventScroll: true });
      const top = read.getBoundingClientRect().top;
      const text = textOf(read);
      await send(kafka, 20);
      await until('they are there', () => all('tr.row').length === count + 20);
      assert.closeTo(read.getBoundingClientRect().top, top, 1);
      assert.strictEqual(textOf(read), text);
      isFocused(button);

      press('Pause');
      await until('it stands still', () => textOf(all('span[role=status]')[0]) === 'The tail is paused.');
      await send(kafka, 20);
      await until('they are counted', () => bar().includes('20 of them since'));
      assert.lengthOf(all('tr.row'), count + 20);
      press('Pause');
      await until('they are there', () => all('tr.row').length === count + 40);
    });
  });

  describe('by keyboard', () => {
    it('arrow keys, Home and End go from row to row', async () => {
      await show(toldKafka(told));
      await until('topics are there', () => rows().length === 3);
      const [first, second, third] = rows().map((row) => row.querySelector('button') as HTMLButtonElement);
      first?.focus();
      for (const [pressed, expected] of [
        ...[['ArrowDown', second] as const, ['End', third] as const, ['ArrowDown', third] as const],
        ...[['ArrowUp', second] as const, ['Home', first] as const, ['ArrowUp', first] as const],
      ]) {
        key(deepActiveElement(), pressed);
        isFocused(expected, pressed);
      }
    });

    it('Escape closes a record from within, and nothing around the inspector hears of it', async () => {
      await openOrders();
      const heard: string[] = [];
      const listen = (pressed: KeyboardEvent): void => void heard.push(pressed.key);
      document.addEventListener('keydown', listen);
      try {
        const row = all<HTMLButtonElement>('tr.row button')[5];
        row?.click();
        await until('it is open', () => all('.details').length === 1);
        key(all('.details pre')[0] ?? null, 'Escape');
        await until('it is closed', () => all('.details').length === 0);
        isFocused(row);
        assert.deepEqual(heard, []);
        key(row ?? null, 'Escape');
        assert.deepEqual(heard, ['Escape']);
      } finally {
        document.removeEventListener('keydown', listen);
      }
    });

    it('what scrolls is a stop of the Tab key, what does not is none', async () => {
      const kafka = await openOrders();
      await kafka
        .producer()
        .send({ topic: 'orders', messages: [{ key: 'k', value: 'line\n'.repeat(100), partition: 0 }] });
      press('Newest');
      await until('it is there', () => all('tr.row').some((row) => textOf(row).includes('line line')));
      all<HTMLButtonElement>('tr.row button').at(-1)?.click();
      await until('it can be scrolled', () => all('.details pre')[1]?.tabIndex === 0);
      assert.strictEqual(all('.details pre')[0]?.tabIndex, -1);
      assert.strictEqual(all('.details pre')[1]?.getAttribute('aria-label'), 'Value');
    });
  });

  it('reads out what happened, and no figure that counts up', async () => {
    const steps: ((checkedLogs: number) => void)[] = [];
    told.check = (progress) => {
      steps.push(progress);
      return new Promise(() => {});
    };
    await show(toldKafka(told));
    press('Check');
    await until('it can begin', () => button('Check all logs') !== undefined);
    const heard = listenTo(() => all('tabstream-check').flatMap((one) => deepAll(one.shadowRoot, '[role=status]')));
    press('Check all logs');
    await until('it is under way', () => steps.length === 1);
    for (let checkedLogs = 1; checkedLogs < 10; checkedLogs++) {
      steps[0]?.(checkedLogs);
      await until('it is shown', () => all<HTMLProgressElement>('progress')[0]?.value === checkedLogs);
    }
    assert.deepEqual(heard(), ['Checking…']);

    const kafka = await openOrders();
    const status = listenTo(() => all('span[role=status]'));
    const count = await tail(kafka, 5);
    await send(kafka, 50);
    await until('they are there', () => all('tr.row').length === count + 50);
    assert.deepEqual(status(), ['Live, all partitions. Waiting for records…', 'Live, all partitions.']);
  });

  it('adds no landmark to a page but the way back from a topic', async () => {
    const landmarks = 'header, footer, main, aside, nav, section[aria-label], [role=region], [role=banner]';
    const own = (): string[] =>
      all(landmarks)
        .filter(({ localName, parentElement }) => localName !== 'header' || parentElement?.localName !== 'section')
        .map(({ localName }) => localName);
    await openOrders();
    assert.deepEqual(own(), ['nav']);
    press('Groups');
    await until('it is there', () => all('tabstream-groups').length === 1);
    assert.deepEqual(own(), []);
  });

  it('is no wider than its place, and squeezes no name to a column of letters', async () => {
    await show(toldKafka(told));
    inspector.style.inlineSize = '320px';
    for (const view of ['Topics', 'Tabs', 'Groups']) {
      press(view);
      await until(`${view} are there`, () => rows().length > 1);
      assert.isAtMost(inspector.scrollWidth, 320, view);
      for (const name of all('td.name, td:has(.name)')) assert.isAtLeast(name.offsetWidth, 120, view);
    }
  });

  it('is English, left to right, in whatever page', async () => {
    document.documentElement.dir = 'rtl';
    try {
      await show(toldKafka(told));
      await until('topics are there', () => rows().length === 3);
      assert.strictEqual(inspector.lang, 'en');
      const [name, count] = all('tr:last-child td').map((cell) => cell.getBoundingClientRect().left);
      assert.isBelow(name ?? Infinity, count ?? 0);
    } finally {
      document.documentElement.dir = '';
    }
  });

  it('tells an empty key or value from one that is null, and from a blank one', async () => {
    const kafka = await openOrders();
    const messages = [
      { key: null, value: null },
      { key: '', value: '' },
    ].map((one) => ({ ...one, partition: 2 }));
    await kafka.producer().send({ topic: 'orders', messages });
    all<HTMLButtonElement>('[aria-label="Partition 2"]')[0]?.click();
    await until('both are there', () => all('tr.row').length === 2);
    assert.deepEqual(
      all('tr.row').map((row) => textOf(row).split(' ').slice(-2)),
      [
        ['null', 'null'],
        ['empty', 'empty'],
      ],
    );
  });

  it('a row that ends a selection of text is not opened by it', async () => {
    await openOrders();
    const value = all('tr.row td:last-child')[0] as HTMLElement;
    getSelection()?.selectAllChildren(value);
    value.click();
    await (all('tabstream-records')[0] as HTMLElement & { updateComplete: Promise<boolean> }).updateComplete;
    assert.lengthOf(all('.details'), 0);
    getSelection()?.removeAllRanges();
    value.click();
    await until('it is open', () => all('.details').length === 1);
  });

  // ---------------------------------------------------------------- what a person sees and does

  async function show(kafka: Kafka): Promise<void> {
    inspector?.remove();
    inspector = document.createElement('stream-inspector');
    inspector.kafka = kafka;
    document.body.append(inspector);
    await until('it is drawn', () => button('Topics') !== undefined);
  }

  /** A real cluster with one topic of 250 records, open. */
  async function openOrders(): Promise<Kafka> {
    const kafka = new Kafka({ clientId: 'inspected', cluster: newClusterName(), logLevel: logLevel.NOTHING });
    opened = kafka;
    await kafka.admin().createTopics({ topics: [{ topic: 'orders', numPartitions: 3 }] });
    await send(kafka, 250);
    await show(kafka);
    await until('it is listed', () => button('orders') !== undefined);
    press('orders');
    await until('records are there', () => all('tr.row').length === 100 && rows().length > 100);
    return kafka;
  }

  async function send(kafka: Kafka, count: number): Promise<void> {
    const messages = Array.from({ length: count }, (_, i) => ({
      key: `order-${i}`,
      value: `{"n":${i}}`,
      partition: 0,
    }));
    await kafka.producer().send({ topic: 'orders', messages });
  }

  /** The live tail with at least so many records; it begins where the log ends once it is asked. */
  async function tail(kafka: Kafka, atLeast: number): Promise<number> {
    press('Live tail');
    await until('it waits', () => textOf(all('span[role=status]')[0]).includes('Waiting'));
    await until('a record comes', async () => {
      await send(kafka, 1);
      return all('tr.row').length > 0;
    });
    await send(kafka, atLeast);
    await kafka.producer().send({ topic: 'orders', messages: [{ value: 'the last one', partition: 0 }] });
    await until('all are there', () => textOf(all('tr.row')[0]).endsWith('the last one'));
    return all('tr.row').length;
  }

  async function hasNoFault(state: string): Promise<void> {
    for (const [scheme, inlineSize] of [['light', ''] as const, ['dark', '320px'] as const]) {
      document.documentElement.style.colorScheme = scheme;
      inspector.style.inlineSize = inlineSize;
      for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame); // it is laid out, and what scrolls is known
      // What the test runner's own page lacks is not ours.
      const rules = Object.fromEntries(
        ['region', 'document-title', 'html-has-lang'].map((rule) => [rule, { enabled: false }]),
      );
      const { violations } = await axe.run(inspector, { rules, resultTypes: ['violations'] });
      const faults = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
      assert.deepEqual(faults, [], `${state}, ${scheme} ${inlineSize}`);
    }
  }

  /** The texts that live regions have had since. */
  function listenTo(regions: () => HTMLElement[]): () => string[] {
    const heard: string[] = [];
    for (const region of regions()) {
      const note = (): void => {
        const text = textOf(region);
        if (text !== '' && heard.at(-1) !== text) heard.push(text);
      };
      new MutationObserver(note).observe(region, { childList: true, characterData: true, subtree: true });
    }
    return () => heard;
  }

  function all<E extends HTMLElement = HTMLElement>(selector: string): E[] {
    return deepAll<E>(inspector.shadowRoot, selector);
  }

  function rows(): HTMLElement[] {
    return all('tbody tr');
  }

  function bar(): string {
    return textOf(all('div.bar').at(-1));
  }

  function button(label: string): HTMLButtonElement | undefined {
    return all<HTMLButtonElement>('button').find((one) => textOf(one) === label);
  }

  function press(label: string): void {
    const found = button(label);
    assert.exists(found, `there is a button ${label}`);
    found?.click();
  }

  function key(target: Element | null | undefined, pressed: string): void {
    target?.dispatchEvent(
      new KeyboardEvent('keydown', { key: pressed, bubbles: true, composed: true, cancelable: true }),
    );
  }
});
