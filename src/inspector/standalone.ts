import { defineStreamInspector } from './define.js';

// The one module with a side effect: the file for `<script type="module" src=".../inspector.js">`.
defineStreamInspector();
