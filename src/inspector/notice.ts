import { html, type TemplateResult } from 'lit';
import { visibleText } from './decode.js';
import type { Loaded } from './refreshing.js';

/** What stands in place of a view that is not there yet, or failed and is loaded again. */
export function notice(state: Exclude<Loaded<unknown>, { status: 'ready' }>, loading: string): TemplateResult {
  switch (state.status) {
    case 'loading':
      return html`<p role="status">${loading}</p>`;
    case 'failed':
      return html`<p role="alert">${visibleText(state.error.message)} (It is tried again.)</p>`;
  }
}
