import 'fake-indexeddb/auto';
import { describe, it } from 'vitest';
import { newIdbFixture } from '../suites/idb-fixture.js';
import { describeLogStore } from '../suites/log-store.js';

describeLogStore('IdbLogStore over fake-indexeddb', newIdbFixture, { describe, it });
