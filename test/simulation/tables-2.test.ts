import { testTableSeeds } from './table-seeds.js';

testTableSeeds(100, 150);
