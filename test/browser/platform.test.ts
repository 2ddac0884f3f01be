import { expect } from 'chai';

// What tabstream takes for granted in every engine. A browser that fails here fails everywhere else too.
describe('the platform', () => {
  it('has IndexedDB, Web Locks, BroadcastChannel and CompressionStream in a window', () => {
    expect(typeof indexedDB.open).to.equal('function');
    expect(typeof navigator.locks.request).to.equal('function');
    expect(typeof BroadcastChannel).to.equal('function');
    expect(typeof CompressionStream).to.equal('function');
  });

  it('has them in a module worker', async () => {
    const source = `postMessage([typeof indexedDB, typeof navigator.locks, typeof BroadcastChannel, typeof CompressionStream]);`;
    const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
    const worker = new Worker(url, { type: 'module' });
    const found = await new Promise((resolve) => {
      worker.onmessage = (event) => resolve(event.data);
    });
    worker.terminate();
    URL.revokeObjectURL(url);
    expect(found).to.deep.equal(['object', 'object', 'function', 'function']);
  });
});
