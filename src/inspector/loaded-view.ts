import { html, nothing, type TemplateResult } from 'lit';
import { visibleText } from './decode.js';
import type { Loaded } from './refreshing.js';

/**
 * What was loaded; a notice until there is something, and one above it while it cannot be loaded again: what a person
 * reads, selected or scrolled to is not taken away by one load that fails.
 */
export function loadedView<T>(state: Loaded<T>, loading: string, view: (value: T) => TemplateResult): TemplateResult {
  const { value } = state;
  return html`
    ${state.status === 'failed' ? html`<p role="alert">${visibleText(state.error.message)} (It is tried again.)</p>` : nothing}
    ${state.status === 'loading' ? html`<p role="status">${loading}</p>` : nothing}
    ${value === undefined ? nothing : view(value)}`;
}
