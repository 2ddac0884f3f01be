export { defineStreamInspector } from './define.js';
export { GroupListElement } from './group-list.js';
export { HostListElement } from './host-list.js';
export { LogCheckElement } from './log-check.js';
export { PartitionListElement } from './partition-list.js';
export { RecordTableElement } from './record-table.js';
export { StreamInspectorElement } from './stream-inspector.js';
export { TopicListElement } from './topic-list.js';
