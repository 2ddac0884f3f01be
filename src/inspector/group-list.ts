import { type CSSResult, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Admin } from '../index.js';
import { countText } from './figures.js';
import { Refreshing } from './refreshing.js';
import { styles } from './styles.js';

interface PartitionLag {
  readonly topic: string;
  readonly partition: number;
  readonly committed: number;
  readonly high: number;
}

interface GroupRow {
  readonly groupId: string;
  readonly state: string;
  readonly members: number;
  readonly partitions: readonly PartitionLag[];
}

/**
 * Consumer groups: state, members, and how far each partition's committed offset is behind the log's end.
 * @customElement tabstream-groups
 */
export class GroupListElement extends LitElement {
  static override properties: PropertyDeclarations = { admin: { attribute: false } };
  static override styles: CSSResult = styles;
  declare admin: Admin;
  readonly #groups = new Refreshing(this, () => loadGroups(this.admin), 1000);

  override render(): TemplateResult {
    const groups = this.#groups.state;
    switch (groups.status) {
      case 'loading':
        return html`<p role="status">Reading groups…</p>`;
      case 'failed':
        return html`<p role="alert">${groups.error.message}</p>`;
      case 'ready':
        if (groups.value.length === 0) return html`<p role="status">No consumer group has joined yet.</p>`;
        return html`<div class="scroll" part="groups">
          <table>
            <thead>
              <tr>
                <th>Group</th><th>Partition</th><th class="number">Committed</th><th class="number">Log end</th>
                <th class="number">Lag</th>
              </tr>
            </thead>
            ${groups.value.map(body)}
          </table>
        </div>`;
    }
  }
}

function body({ groupId, state, members, partitions }: GroupRow): TemplateResult {
  return html`<tbody>
    <tr>
      <td><strong class="mono">${groupId}</strong></td>
      <td class="quiet" colspan="3">${state}, ${members} ${members === 1 ? 'member' : 'members'}</td>
      <td class="number"><strong>${countText(partitions.reduce((total, entry) => total + lag(entry), 0))}</strong></td>
    </tr>
    ${partitions.map(
      (entry) => html`<tr>
        <td></td>
        <td class="mono">${entry.topic}-${entry.partition}</td>
        <td class="number">${countText(entry.committed)}</td>
        <td class="number">${countText(entry.high)}</td>
        <td class="number ${lag(entry) === 0 ? 'good' : ''}">${countText(lag(entry))}</td>
      </tr>`,
    )}
  </tbody>`;
}

function lag({ committed, high }: PartitionLag): number {
  return Math.max(0, high - committed);
}

async function loadGroups(admin: Admin): Promise<GroupRow[]> {
  const { groups } = await admin.listGroups();
  const ids = groups.map(({ groupId }) => groupId).sort();
  const described = ids.length === 0 ? [] : (await admin.describeGroups(ids)).groups;
  const ends = new Map<string, Promise<ReadonlyMap<number, number>>>();
  const endsOf = (topic: string): Promise<ReadonlyMap<number, number>> => {
    const known = ends.get(topic) ?? loadEnds(admin, topic);
    ends.set(topic, known);
    return known;
  };
  return Promise.all(
    described.map(async ({ groupId, state, members }) => ({
      groupId,
      state,
      members: members.length,
      partitions: await loadLag(admin, groupId, endsOf),
    })),
  );
}

async function loadEnds(admin: Admin, topic: string): Promise<ReadonlyMap<number, number>> {
  const offsets = await admin.fetchTopicOffsets(topic).catch(() => []);
  return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
}

async function loadLag(
  admin: Admin,
  groupId: string,
  endsOf: (topic: string) => Promise<ReadonlyMap<number, number>>,
): Promise<PartitionLag[]> {
  const rows: PartitionLag[] = [];
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId })) {
    const ends = await endsOf(topic);
    for (const { partition, offset } of partitions) {
      const high = ends.get(partition);
      if (high !== undefined && Number(offset) >= 0) rows.push({ topic, partition, committed: Number(offset), high });
    }
  }
  return rows.sort((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition);
}
