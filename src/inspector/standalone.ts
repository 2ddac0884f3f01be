// The one module with a side effect: the file for `<script type="module" src=".../inspector.js">`. Where there is no
// document, as on a server, it does nothing: lit itself needs one to be evaluated.
if (typeof document !== 'undefined') {
  const { defineStreamInspector } = await import('./define.js');
  defineStreamInspector();
}

export {};
