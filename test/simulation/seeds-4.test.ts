import { testSeeds } from './seeds.js';

testSeeds(750, 250);
