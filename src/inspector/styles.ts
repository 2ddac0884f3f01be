import { type CSSResult, css } from 'lit';

/** One look for all elements; pages adapt it by the custom properties named here. */
export const styles: CSSResult = css`
  :host {
    --ink: var(--tabstream-ink, light-dark(#1c2430, #e6eaf0));
    --quiet: var(--tabstream-quiet, light-dark(#5b6675, #98a3b3));
    --paper: var(--tabstream-paper, light-dark(#ffffff, #12161c));
    --raised: var(--tabstream-raised, light-dark(#f4f6f9, #1a2029));
    --line: var(--tabstream-line, light-dark(#dfe4ea, #2b3440));
    --accent: var(--tabstream-accent, light-dark(#0b57d0, #8ab4f8));
    --edge: light-dark(#808a98, #697486);
    --good: light-dark(#136c34, #7fd39b);
    --bad: light-dark(#a8201a, #ff9d94);
    display: block;
    container-type: inline-size;
    color: var(--ink);
    background: var(--paper);
    font: 14px/1.5 system-ui, sans-serif;
    text-align: start;
    direction: ltr; /* its words are English, whatever the page's are */
  }
  * { box-sizing: border-box; }
  table { border-collapse: collapse; inline-size: 100%; }
  th, td { padding: 6px 10px; text-align: start; vertical-align: baseline; border-block-end: 1px solid var(--line); }
  th { color: var(--quiet); font-weight: 500; white-space: nowrap; }
  tbody tr:last-child > * { border-block-end: none; }
  .number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
  code, pre, .mono { font: 12.5px/1.68 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
  .named { min-inline-size: 9em; }
  .name { overflow-wrap: anywhere; unicode-bidi: isolate; }
  .scroll { overflow-x: auto; }
  .scroll, .rows, pre { scrollbar-color: var(--edge) transparent; }
  .bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 10px; }
  .quiet { color: var(--quiet); }
  .good { color: var(--good); }
  .bad { color: var(--bad); }
  button, select, input {
    font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--edge);
    border-radius: 6px; padding: 4px 10px; min-block-size: 32px;
  }
  button { cursor: pointer; }
  button:hover:not([aria-disabled='true']) { border-color: var(--accent); }
  button[aria-disabled='true'] { opacity: 0.5; cursor: default; }
  button:is([aria-pressed='true'], [aria-current='true']) {
    border-color: var(--accent); color: var(--accent); box-shadow: inset 0 -2px var(--accent);
  }
  button.link { display: inline-flex; align-items: center; background: none; border: none; padding: 0; min-block-size: 24px; color: var(--accent); text-align: inherit; }
  button.link:hover, button.link[aria-current='true'] { text-decoration: underline; box-shadow: none; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
  .scroll:focus-visible { outline-offset: -2px; }
  p[role='alert'] { color: var(--bad); margin: 12px 10px; overflow-wrap: anywhere; }
  @media (forced-colors: active) {
    button:is([aria-pressed='true'], [aria-current='true']):not(.link) {
      forced-color-adjust: none; color: HighlightText; background: Highlight; border-color: Highlight;
    }
    button[aria-disabled='true'] { color: GrayText; border-color: GrayText; opacity: 1; }
  }
  @container (max-inline-size: 480px) {
    th:not(:first-child), td:not(:first-child) { padding-inline-start: 6px; }
    th:not(:last-child), td:not(:last-child) { padding-inline-end: 6px; }
  }
  p[role='status'], p.empty { color: var(--quiet); margin: 12px 10px; }
`;
