import { testTableSeeds } from './seeds.js';

testTableSeeds(100, 150);
