import { type CSSResult, css, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { Admin, Kafka } from '../index.js';
import { visibleText } from './decode.js';
import { countText, total } from './figures.js';
import { loadedView } from './loaded-view.js';
import { Refreshing } from './refreshing.js';
import { scrollArea } from './scroll-area.js';
import { styles } from './styles.js';

interface PartitionLag {
  readonly partition: number;
  readonly committed: number;
  readonly high: number;
}

interface TopicLag {
  readonly topic: string;
  readonly partitions: readonly PartitionLag[];
}

interface GroupRow {
  readonly groupId: string;
  readonly state: string;
  readonly members: number;
  readonly topics: readonly TopicLag[];
}

/**
 * Consumer groups: state, members, and how far each partition's committed offset is behind the log's end.
 * @customElement tabstream-groups
 */
export class GroupListElement extends LitElement {
  static override properties: PropertyDeclarations = { kafka: { attribute: false } };
  static override styles: CSSResult[] = [
    styles,
    css`
      section + section { border-block-start: 1px solid var(--line); }
      header { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: baseline; padding: 10px 10px 4px; }
      h3 { margin: 0; font-weight: 600; }
      table { max-inline-size: 44em; }
      th[scope='rowgroup'] { color: var(--ink); white-space: normal; border-block-end: none; padding-block-end: 0; }
    `,
  ];
  declare kafka: Kafka;
  readonly #groups = new Refreshing(this, loadGroups, 1000);

  override render(): TemplateResult {
    return loadedView(this.#groups.state, 'Reading groups…', sections);
  }
}

function sections(groups: readonly GroupRow[]): TemplateResult {
  if (groups.length === 0) return html`<p class="empty">No consumer group has joined yet.</p>`;
  return html`<div part="groups">${repeat(groups, ({ groupId }) => groupId, section)}</div>`;
}

function section({ groupId, state, members, topics }: GroupRow): TemplateResult {
  const lags = topics.flatMap(({ partitions }) => partitions.map(lag));
  const name = visibleText(groupId);
  return html`<section>
    <header>
      <h3 class="mono name">${name}</h3>
      <span class="quiet">${state}, ${members} ${members === 1 ? 'member' : 'members'}</span>
      <span>${lags.length === 0 ? html`<span class="quiet">nothing committed yet</span>` : html`total lag <strong class=${lagClass(total(lags))}>${countText(total(lags))}</strong>`}</span>
    </header>
    ${lags.length === 0 ? '' : table(name, topics)}
  </section>`;
}

function table(group: string, topics: readonly TopicLag[]): TemplateResult {
  return html`<div class="scroll" role="group" aria-label="Offsets of ${group}" ${scrollArea()}>
    <table>
      <thead>
        <tr>
          <th scope="col">Partition</th><th scope="col" class="number">Committed</th>
          <th scope="col" class="number">Log end</th><th scope="col" class="number">Lag</th>
        </tr>
      </thead>
      ${topics.map(
        ({ topic, partitions }) => html`<tbody>
          <tr><th scope="rowgroup" colspan="4" class="mono name">${topic}</th></tr>
          ${partitions.map(
            (entry) => html`<tr>
              <td>${entry.partition}</td>
              <td class="number">${countText(entry.committed)}</td>
              <td class="number">${countText(entry.high)}</td>
              <td class="number ${lagClass(lag(entry))}">${countText(lag(entry))}</td>
            </tr>`,
          )}
        </tbody>`,
      )}
    </table>
  </div>`;
}

function lag({ committed, high }: PartitionLag): number {
  return Math.max(0, high - committed);
}

function lagClass(lag: number): string {
  return lag === 0 ? 'good' : '';
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
      topics: await loadLags(admin, groupId, endsOf),
    })),
  );
}

async function loadEnds(admin: Admin, topic: string): Promise<ReadonlyMap<number, number>> {
  const offsets = await admin.fetchTopicOffsets(topic).catch(() => []);
  return new Map(offsets.map(({ partition, high }) => [partition, Number(high)]));
}

/** Partitions with a committed offset, of topics that still exist. */
async function loadLags(
  admin: Admin,
  groupId: string,
  endsOf: (topic: string) => Promise<ReadonlyMap<number, number>>,
): Promise<TopicLag[]> {
  const rows = (await admin.fetchOffsets({ groupId })).map(async ({ topic, partitions }) => {
    const ends = await endsOf(topic);
    const lags = partitions.flatMap(({ partition, offset }) => {
      const high = ends.get(partition);
      return high === undefined || Number(offset) < 0 ? [] : [{ partition, committed: Number(offset), high }];
    });
    return { topic, partitions: lags.sort((a, b) => a.partition - b.partition) };
  });
  const topics = (await Promise.all(rows)).filter(({ partitions }) => partitions.length > 0);
  return topics.sort((a, b) => a.topic.localeCompare(b.topic));
}
