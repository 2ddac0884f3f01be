import { GroupListElement } from './group-list.js';
import { HostListElement } from './host-list.js';
import { LogCheckElement } from './log-check.js';
import { PartitionListElement } from './partition-list.js';
import { RecordTableElement } from './record-table.js';
import { StorageLineElement } from './storage-line.js';
import { StreamInspectorElement } from './stream-inspector.js';
import { TopicListElement } from './topic-list.js';

const ELEMENTS = {
  'tabstream-topics': TopicListElement,
  'tabstream-partitions': PartitionListElement,
  'tabstream-records': RecordTableElement,
  'tabstream-groups': GroupListElement,
  'tabstream-hosts': HostListElement,
  'tabstream-check': LogCheckElement,
  'tabstream-storage': StorageLineElement,
  'stream-inspector': StreamInspectorElement,
} as const;

/** Defines `<stream-inspector>` and the elements it is made of. Calling it again changes nothing. */
export function defineStreamInspector(): void {
  for (const [name, element] of Object.entries(ELEMENTS)) {
    if (customElements.get(name) === undefined) customElements.define(name, element);
  }
}
