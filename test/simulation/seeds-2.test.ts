import { testSeeds } from './seeds.js';

testSeeds(250, 250);
