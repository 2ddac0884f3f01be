// What keeps a database in shape, for `IdbLogStore`, which loads it when first asked for.
export { IdbDeletion } from './idb-deletion.js';
export { dropReserve, takeReserve } from './idb-reserve.js';
