import { newIdbFixture } from '../suites/idb-fixture.js';
import { describeLogStore } from '../suites/log-store.js';

describeLogStore('IdbLogStore', newIdbFixture, { describe, it });
