import { expect } from 'chai';
import { browserRuntime } from '../../src/runtime/browser-runtime.js';
import { excesses, openAndClose } from '../suites/open-and-close.js';
import { deleteClusterDatabase, newClusterName } from './cluster.js';

describe('a real database', () => {
  it('that is opened and closed up to a thousand times keeps its records and little beside', async function () {
    this.timeout(120_000);
    const clusterName = newClusterName();
    const runtime = browserRuntime();
    const { rounds, sizes } = await openAndClose({ runtime, clusterName, rounds: 1000, limitMs: 15_000 });
    console.log(`opened and closed ${rounds} times: ${JSON.stringify(sizes)}`);
    expect(rounds).to.be.at.least(50);
    expect(sizes['chunks']?.rows).to.be.at.least(rounds);
    expect(excesses(sizes, rounds)).to.deep.equal([]);
    expect(await deleteClusterDatabase(clusterName)).to.deep.equal({ wasOpen: false });
  });
});
