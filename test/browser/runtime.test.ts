import { assert } from 'chai';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { RUNTIME_CASES } from '../suites/runtime.js';

describe('the browser’s runtime', () => {
  for (const { promise, run } of RUNTIME_CASES) {
    it(`in a window: ${promise}`, () => run({ a: browserRuntime(), b: browserRuntime() }));
  }

  it('keeps the contract in a worker', async () => {
    const worker = new Worker(new URL('./runtime.worker.ts', import.meta.url), { type: 'module' });
    const failures = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
    worker.terminate();
    assert.deepEqual(failures, []);
  });

  it('makes UUIDs where the context is not secure', () => {
    const { randomUUID } = crypto;
    Object.defineProperty(crypto, 'randomUUID', { value: undefined, configurable: true });
    try {
      assert.match(
        browserRuntime().random.uuid(),
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
    } finally {
      Object.defineProperty(crypto, 'randomUUID', { value: randomUUID, configurable: true });
    }
  });

  it('frees the locks of a worker that is terminated', async () => {
    const runtime = browserRuntime();
    const name = runtime.random.uuid();
    const source = `navigator.locks.request('${name}', () => new Promise(() => postMessage('held')));`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' });
    await new Promise((resolve) => {
      worker.onmessage = resolve;
    });
    const waiting = runtime.locks?.hold(name);
    worker.terminate();
    (await waiting)?.release();
  });
});
