export { defineStreamInspector } from './define.js';
export { GroupListElement } from './group-list.js';
export { HostListElement } from './host-list.js';
export { PartitionListElement } from './partition-list.js';
export { RecordTableElement } from './record-table.js';
export { StorageLineElement } from './storage-line.js';
export { StreamInspectorElement } from './stream-inspector.js';
export { TopicListElement } from './topic-list.js';
