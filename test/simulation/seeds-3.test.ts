import { testSeeds } from './seeds.js';

testSeeds(500, 250);
