import { newIdbFixture } from '../suites/idb-fixture.js';
import { describeRawLogStore } from '../suites/raw-log-store.js';

describeRawLogStore('IdbLogStore', newIdbFixture, { describe, it });
