import { type CSSResult, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { ClusterDescription, Kafka } from '../index.js';
import { visibleText } from './decode.js';
import { timeText } from './figures.js';
import { notice } from './notice.js';
import { Refreshing } from './refreshing.js';
import { styles } from './styles.js';

/**
 * The live tabs of the cluster, and which of them leads since which epoch.
 * @customElement tabstream-hosts
 */
export class HostListElement extends LitElement {
  static override properties: PropertyDeclarations = { kafka: { attribute: false } };
  static override styles: CSSResult = styles;
  declare kafka: Kafka;
  readonly #cluster = new Refreshing(this, (admin) => admin.describeCluster(), 500);

  override render(): TemplateResult {
    const cluster = this.#cluster.state;
    if (cluster.status !== 'ready') return notice(cluster, 'Asking the tabs…');
    return html`<div class="scroll" part="hosts" role="region" aria-label="Tabs" tabindex="0">
      <table>
        <thead>
          <tr>
            <th scope="col">Tab</th><th scope="col">Role</th><th scope="col" class="number">Epoch</th>
            <th scope="col">Visible</th><th scope="col">Storage</th><th scope="col">Since</th>
          </tr>
        </thead>
        <tbody>${cluster.value.hosts.map(row)}</tbody>
      </table>
    </div>`;
  }
}

function row(host: ClusterDescription['hosts'][number]): TemplateResult {
  return html`<tr>
    <td class="name">${visibleText(host.label)} ${host.self ? html`<strong>(this tab)</strong>` : ''}
      <div class="quiet mono">${host.hostId.slice(0, 8)}</div></td>
    <td class=${host.controller ? 'good' : 'quiet'}>${host.controller ? 'leader' : 'standby'}</td>
    <td class="number">${host.controller ? host.controllerEpoch : '–'}</td>
    <td>${host.visible ? 'yes' : 'hidden'}</td>
    <td class=${host.storage === 'ready' ? 'good' : 'bad'}>${host.storage}</td>
    <td class="mono">${timeText(host.joinedAtMs, 'local').slice(11, 19)}</td>
  </tr>`;
}
