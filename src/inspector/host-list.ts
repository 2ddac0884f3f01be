import { type CSSResult, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import { repeat } from 'lit/directives/repeat.js';
import type { ClusterDescription, Kafka } from '../index.js';
import { visibleText } from './decode.js';
import { timeText } from './figures.js';
import { loadedView } from './loaded-view.js';
import { Refreshing } from './refreshing.js';
import { scrollArea } from './scroll-area.js';
import { styles } from './styles.js';

type Host = ClusterDescription['hosts'][number];

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
    return loadedView(this.#cluster.state, 'Asking the tabs…', ({ hosts }) => table(hosts));
  }
}

function table(hosts: readonly Host[]): TemplateResult {
  return html`<div class="scroll" part="hosts" role="group" aria-label="Tabs" ${scrollArea()}>
      <table>
        <thead>
          <tr>
            <th scope="col">Tab</th><th scope="col">Role</th><th scope="col" class="number">Epoch</th>
            <th scope="col">Visible</th><th scope="col">Storage</th><th scope="col">Since</th>
          </tr>
        </thead>
        <tbody>${repeat(hosts, ({ hostId }) => hostId, row)}</tbody>
      </table>
    </div>`;
}

function row(host: Host): TemplateResult {
  return html`<tr>
    <td class="named name">${visibleText(host.label)} ${host.self ? html`<strong>(this tab)</strong>` : ''}
      <div class="quiet mono">${host.hostId.slice(0, 8)}</div></td>
    <td class=${host.controller ? 'good' : 'quiet'}>${host.controller ? 'leader' : 'standby'}</td>
    <td class="number">${host.controller ? host.controllerEpoch : '–'}</td>
    <td>${host.visible ? 'yes' : 'hidden'}</td>
    <td class=${host.storage === 'ready' ? 'good' : 'bad'}>${host.storage}</td>
    <td class="mono">${timeText(host.joinedAtMs, 'local').slice(11, 19)}</td>
  </tr>`;
}
