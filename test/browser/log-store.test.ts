import { newIdbFixture } from '../suites/idb-fixture.js';
import { describeJournal } from '../suites/journal.js';
import { describeLogStore } from '../suites/log-store.js';
import { describeMakingWay } from '../suites/make-way.js';

describeLogStore('IdbLogStore', newIdbFixture, { describe, it });
describeJournal('IdbLogStore', newIdbFixture, { describe, it }, 5); // thousands of IDB transactions each
describeMakingWay('IdbLogStore', { describe, it });
