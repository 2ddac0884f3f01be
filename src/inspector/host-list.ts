import { type CSSResult, html, LitElement, type PropertyDeclarations, type TemplateResult } from 'lit';
import type { Admin } from '../index.js';
import { timeText } from './figures.js';
import { Refreshing } from './refreshing.js';
import { styles } from './styles.js';

/**
 * The live tabs of the cluster, and which of them leads since which epoch.
 * @customElement tabstream-hosts
 */
export class HostListElement extends LitElement {
  static override properties: PropertyDeclarations = { admin: { attribute: false } };
  static override styles: CSSResult = styles;
  declare admin: Admin;
  readonly #cluster = new Refreshing(this, () => this.admin.describeCluster(), 500);

  override render(): TemplateResult {
    const cluster = this.#cluster.state;
    switch (cluster.status) {
      case 'loading':
        return html`<p role="status">Asking the tabs…</p>`;
      case 'failed':
        return html`<p role="alert">${cluster.error.message}</p>`;
      case 'ready':
        return html`<div class="scroll" part="hosts">
          <table>
            <thead>
              <tr><th>Tab</th><th>Role</th><th class="number">Epoch</th><th>Visible</th><th>Since</th></tr>
            </thead>
            <tbody>
              ${cluster.value.hosts.map(
                (host) => html`<tr>
                  <td>${host.label} ${host.self ? html`<strong>(this tab)</strong>` : ''}
                    <div class="quiet mono">${host.hostId.slice(0, 8)}</div></td>
                  <td class=${host.controller ? 'good' : 'quiet'}>${host.controller ? 'leader' : 'standby'}</td>
                  <td class="number">${host.controller ? host.controllerEpoch : '–'}</td>
                  <td>${host.visible ? 'yes' : 'hidden'}</td>
                  <td class="mono">${timeText(host.joinedAtMs, 'local').slice(11, 19)}</td>
                </tr>`,
              )}
            </tbody>
          </table>
        </div>`;
    }
  }
}
