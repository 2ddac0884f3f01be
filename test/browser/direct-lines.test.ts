import { assert } from 'chai';
import { inboxName } from '../../src/cluster/host-messages.js';
import { Transport } from '../../src/cluster/transport.js';
import { NO_ERROR } from '../../src/protocol/errors.js';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { directLines } from '../../src/runtime/direct-lines.js';
import { introducerPort } from '../../src/runtime/introducer.js';
import type { Lines, LinesEnd } from '../../src/runtime/runtime.js';
import { WorkerLink } from '../../src/runtime/worker-link.js';
import { LINES_CASES } from '../suites/lines.js';
import { newClusterName, until } from './cluster.js';

const runtime = browserRuntime();
const { clock } = runtime;

const ANSWER = { response: { ...NO_ERROR, nodeId: 1, host: 'h', port: 0 }, metadataEndOffset: 0 };

describe('lines of MessagePorts', () => {
  before(function () {
    if (typeof SharedWorker === 'undefined') this.skip();
  });

  for (const { promise, run } of LINES_CASES) {
    it(promise, async () => {
      const cluster = newClusterName();
      const lines = directLines(async () => introducerPort(cluster));
      await run({ a: lines, b: lines, wait: () => clock.sleep(5) });
    });
  }

  it('are sought again through a new introducer after one that does not answer', async () => {
    const cluster = newClusterName();
    let asked = 0;
    const deadAtFirst = directLines(async () => (asked++ === 0 ? new MessageChannel().port1 : introducerPort(cluster)));
    const heard: unknown[] = [];
    const b = directLines(async () => introducerPort(cluster)).open('b', (message) => heard.push(message));
    b.join();
    const a = deadAtFirst.open('a', () => {});
    await until('a line in the end', async () => a.post('b', 'x'));
    await until('it was heard', async () => heard.length > 0);
    assert.strictEqual(asked, 2);
    a.close();
    b.close();
  });

  it('that break lose no request for good: it is asked after over a channel, and the next ones get a new line', async () => {
    const clusterName = newClusterName();
    const ends = new Map<string, LinesEnd>();
    const open: Lines['open'] = (name, onMessage) => {
      const end = directLines(async () => introducerPort(clusterName)).open(name, onMessage);
      ends.set(name, end);
      return end;
    };
    let carriedOut = 0;
    let overChannels = 0;
    const hosts = ['a', 'b'].map((hostId) => {
      const transport = new Transport({
        clusterName,
        hostId,
        runtime: { ...runtime, lines: { open } },
        answer: async () => {
          carriedOut++;
          return ANSWER;
        },
      });
      const inbox = runtime.channels.open(inboxName(clusterName, hostId), (data) => {
        overChannels++;
        transport.receive(data);
      });
      return { transport, inbox };
    });
    const ask = (): Promise<unknown> => hosts[0]!.transport.call('b', 'FindCoordinator', { key: 'g', keyType: 0 });
    const isDirect = async (): Promise<boolean> => {
      const before = overChannels;
      assert.deepEqual(await ask(), ANSWER);
      return overChannels === before;
    };
    for (let round = 0; round < 3; round++) {
      await until('there is a line', isDirect);
      ends.get('b')!.drop('a'); // of which a hears nothing
      const before = carriedOut;
      assert.isFalse(await isDirect());
      assert.strictEqual(carriedOut, before + 1);
    }
    await until('there is a line again', isDirect);
    for (const { transport, inbox } of hosts) {
      transport.close();
      inbox.close();
    }
  });

  it('are not made where there is no introducer', async () => {
    const a = directLines(async () => undefined).open('a', () => {});
    for (let i = 0; i < 5; i++) {
      assert.isFalse(a.post('b', 'x'));
      await clock.sleep(1);
    }
    a.close();
  });

  it('are what hosts in workers ask each other over, once made', async function () {
    this.timeout(60_000);
    const clusterName = newClusterName();
    const links = ['a', 'b'].map((label) => {
      const newWorker = (): Worker =>
        new Worker(new URL('../../workers/host.worker.ts', import.meta.url), { type: 'module' });
      return new WorkerLink({ runtime, newWorker, start: { clusterName, brokerConfig: {}, label } });
    });
    let heard = 0;
    const inboxes: { close(): void }[] = [];
    for (const link of links) {
      const { hostId } = await link.host();
      inboxes.push(runtime.channels.open(`tabstream/${clusterName}/host/${hostId}`, () => heard++));
    }
    const askBoth = (): Promise<unknown> =>
      Promise.all(links.map((link) => link.send('FindCoordinator', { key: 'g', keyType: 0 })));
    await askBoth();
    await clock.sleep(50);
    assert.isAbove(heard, 0, 'the first question goes over a channel');
    await until('a question that no channel carries', async () => {
      const before = heard;
      await askBoth();
      await clock.sleep(20);
      return heard === before;
    });
    for (const inbox of inboxes) inbox.close();
    await Promise.all(links.map((link) => link.close()));
  });
});
