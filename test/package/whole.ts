import * as tabstream from '../../src/index.js';

// A page that keeps everything the package exports.
console.log(tabstream);
