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
    --good: light-dark(#136c34, #7fd39b);
    --bad: light-dark(#a8201a, #ff9d94);
    display: block;
    container-type: inline-size;
    color: var(--ink);
    background: var(--paper);
    font: 14px/1.5 system-ui, sans-serif;
    text-align: start;
  }
  * { box-sizing: border-box; }
  table { border-collapse: collapse; inline-size: 100%; }
  th, td { padding: 6px 10px; text-align: start; vertical-align: baseline; border-block-end: 1px solid var(--line); }
  th { color: var(--quiet); font-weight: 500; white-space: nowrap; }
  tbody tr:last-child > * { border-block-end: none; }
  .number { text-align: end; font-variant-numeric: tabular-nums; white-space: nowrap; }
  code, pre, .mono { font: 12.5px/1.68 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
  .name { overflow-wrap: anywhere; unicode-bidi: isolate; }
  .scroll { overflow-x: auto; }
  .bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; padding: 10px; }
  .quiet { color: var(--quiet); }
  .good { color: var(--good); }
  .bad { color: var(--bad); }
  button, select, input {
    font: inherit; color: inherit; background: var(--raised); border: 1px solid var(--line);
    border-radius: 6px; padding: 4px 10px; min-block-size: 32px;
  }
  button { cursor: pointer; }
  button:hover:not(:disabled) { border-color: var(--accent); }
  button:disabled { opacity: 0.5; cursor: default; }
  button[aria-pressed='true'] { border-color: var(--accent); color: var(--accent); }
  button.link { background: none; border: none; padding: 0; min-block-size: 24px; color: var(--accent); text-align: inherit; }
  button.link:hover { text-decoration: underline; }
  :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
  .scroll:focus-visible { outline-offset: -2px; }
  p[role='alert'] { color: var(--bad); margin: 12px 10px; overflow-wrap: anywhere; }
  p[role='status'], p.empty { color: var(--quiet); margin: 12px 10px; }
`;
