import { dirname, join, normalize } from 'node:path/posix';
import { parseSync } from 'vite';

/** Source text by path from the repository root, as in `src/log/partition-log.ts`. */
export type Sources = ReadonlyMap<string, string>;

/** Who may import whom, downwards only. A folder may always import itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  util: [],
  protocol: ['util'],
  runtime: ['util', 'protocol'],
  record: ['util', 'protocol'],
  storage: ['util', 'protocol', 'runtime'],
  log: ['util', 'protocol', 'runtime', 'record', 'storage'],
  broker: ['util', 'protocol', 'runtime', 'record', 'storage', 'log'],
  cluster: ['util', 'protocol', 'runtime', 'record', 'storage', 'log', 'broker'],
  client: ['util', 'protocol', 'runtime', 'record'],
  testing: ['util', 'protocol', 'runtime', 'record', 'storage', 'log', 'broker', 'cluster', 'client', ''],
  inspector: [],
};

/** The inspector sees what any user sees, the public entry or that of the client; and its page's clock. */
const OPEN_TO_INSPECTOR = ['src/index.ts', 'src/client/index.ts', 'src/runtime/browser-runtime.ts'];

/** Which folders may import a package. No other package is imported in src. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  idb: ['src/storage/'],
  comlink: ['src/runtime/', 'workers/'],
  lit: ['src/inspector/', 'demo/'],
};

/** Sources of nondeterminism, which only `Runtime` may touch: names, or an object and one of its properties. */
const AMBIENT = new Set([
  'performance',
  'crypto',
  'BroadcastChannel',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'requestAnimationFrame',
  'requestIdleCallback',
  'Date.now',
  'Math.random',
  'navigator.locks',
  'AbortSignal.timeout',
]);

/** Every breach of the architecture, as `path: rule`. Type-only imports count for layers, not for cycles. */
export function breaches(sources: Sources): readonly string[] {
  const modules = [...sources].map(([path, text]) => parse(path, text));
  return [...modules.flatMap(moduleBreaches), ...cycles(modules)];
}

interface Module {
  readonly path: string;
  readonly program: Node;
  /** Paths of sources, or names of packages. */
  readonly imports: readonly Import[];
}

interface Import {
  readonly target: string;
  readonly typeOnly: boolean;
}

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

function parse(path: string, text: string): Module {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new SyntaxError(`${path}: ${errors[0]?.message}`);
  const root = program as unknown as Node;
  return { path, program: root, imports: [...importsOf(root, path)] };
}

function* importsOf(node: Node, path: string): Generator<Import> {
  if (/^((Import|Export(All|Named))Declaration|ImportExpression|TSImportType)$/.test(node.type)) {
    const specifier = isNode(node['source']) ? node['source']['value'] : undefined;
    const typeOnly = node.type === 'TSImportType' || node['importKind'] === 'type' || node['exportKind'] === 'type';
    if (typeof specifier === 'string') yield { target: resolve(path, specifier), typeOnly };
  }
  for (const child of children(node)) yield* importsOf(child, path);
}

function resolve(from: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return normalize(join(dirname(from), specifier)).replace(/\.js$/, '.ts');
}

function moduleBreaches(module: Module): readonly string[] {
  const { path } = module;
  const found = [...importBreaches(module)];
  if (path.startsWith('src/') && !path.startsWith('src/runtime/')) {
    for (const name of ambientUses(module.program)) found.push(`${name} is ambient: only src/runtime may use it`);
  }
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(path.split('/').at(-1) ?? '')) found.push('file names are kebab-case');
  if (isEntry(path) && !reExportsOnly(module.program)) found.push('an index.ts re-exports only');
  return found.map((rule) => `${path}: ${rule}`);
}

function* importBreaches({ path, imports }: Module): Generator<string> {
  for (const { target } of imports) {
    if (!/^(src|workers|demo|node_modules|\.\.?)\//.test(target)) {
      const name = target.split('/')[0] ?? target;
      const allowed = PACKAGES[name];
      if (allowed === undefined ? path.startsWith('src/') : !allowed.some((folder) => path.startsWith(folder))) {
        yield `the package ${name} may be imported ${allowed ? `in ${allowed.join(', ')} only` : 'nowhere in src'}`;
      }
      continue;
    }
    if (!path.startsWith('src/')) continue;
    const from = folderOf(path);
    const to = folderOf(target);
    if (from === to) {
      if (isEntry(target) && from !== '') yield `insiders of src/${from} import the file itself, not ${target}`;
      continue;
    }
    if (from === '') continue; // the public entry may re-export from anywhere
    const inspects = from === 'inspector' && OPEN_TO_INSPECTOR.includes(target);
    if (!inspects && !LAYERS[from]?.includes(to)) yield `src/${from} may not import ${target}`;
  }
}

/** `log` of `src/log/partition-log.ts`; '' of `src/index.ts`; a path outside src stands for itself. */
function folderOf(path: string): string {
  const parts = path.split('/');
  if (parts[0] !== 'src') return path;
  return parts.length > 2 ? (parts[1] ?? '') : '';
}

function isEntry(path: string): boolean {
  return /^src\/([^/]+\/)?index\.ts$/.test(path);
}

/** An entry holds exports from elsewhere. Defining custom elements is the inspector's one side effect. */
function reExportsOnly(program: Node): boolean {
  return children(program).every(
    (statement) =>
      statement.type === 'ImportDeclaration' ||
      statement.type === 'ExportAllDeclaration' ||
      (statement.type === 'ExportNamedDeclaration' && !isNode(statement['declaration'])) ||
      (statement.type === 'ExpressionStatement' && /^(Call|Identifier)/.test(expressionOf(statement).type)),
  );
}

function expressionOf(statement: Node): Node {
  return isNode(statement['expression']) ? statement['expression'] : statement;
}

/** Names of AMBIENT that are read as values; types, property names and comments do not count. */
function ambientUses(program: Node): ReadonlySet<string> {
  const used = new Set<string>();
  const visit = (node: Node): void => {
    if (
      node.type.startsWith('TS') &&
      !/^TS(As|Satisfies|NonNull|TypeAssertion|Instantiation|Parameter)/.test(node.type)
    ) {
      return;
    }
    const name = ambientName(node);
    if (name !== undefined) used.add(name);
    for (const child of valueChildren(node)) visit(child);
  };
  visit(program);
  return used;
}

function ambientName(node: Node): string | undefined {
  if (node.type === 'Identifier') return known(String(node['name']));
  if ((node.type === 'NewExpression' || node.type === 'CallExpression') && nameOf(node['callee']) === 'Date') {
    // `new Date(ms)` is a function of its input; `new Date()` and `Date()` read the clock.
    const isPure = node.type === 'NewExpression' && (node['arguments'] as readonly unknown[]).length > 0;
    return isPure ? undefined : 'new Date()';
  }
  if (node.type !== 'MemberExpression') return undefined;
  const object = nameOf(node['object']);
  const property = nameOf(node['property']);
  if (object === 'globalThis' || object === 'self' || object === 'window') return known(property ?? '');
  return known(`${object}.${property}`);
}

function known(name: string): string | undefined {
  return AMBIENT.has(name) ? name : undefined;
}

function nameOf(node: unknown): string | undefined {
  return isNode(node) && node.type === 'Identifier' ? String(node['name']) : undefined;
}

/** Children that are evaluated: not the names of properties, members, parameters or imports. */
function valueChildren(node: Node): readonly Node[] {
  const computed = node['computed'] === true;
  switch (node.type) {
    case 'MemberExpression':
      return fields(node, computed ? ['object', 'property'] : ['object']);
    case 'Property':
    case 'PropertyDefinition':
    case 'MethodDefinition':
    case 'AccessorProperty':
      return fields(node, computed ? ['key', 'value', 'decorators'] : ['value', 'decorators']);
    case 'ImportDeclaration':
    case 'ExportSpecifier':
    case 'LabeledStatement':
      return node.type === 'LabeledStatement' ? fields(node, ['body']) : [];
    default:
      return children(node);
  }
}

function fields(node: Node, names: readonly string[]): readonly Node[] {
  return names.flatMap((name) => nodesIn(node[name]));
}

function children(node: Node): readonly Node[] {
  return Object.values(node).flatMap(nodesIn);
}

function nodesIn(value: unknown): readonly Node[] {
  if (Array.isArray(value)) return value.flatMap(nodesIn);
  return isNode(value) ? [value] : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

/** One breach per group of files that reach each other. */
function cycles(modules: readonly Module[]): readonly string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) found.push(`${path}: is part of a cycle, ${[...trail.slice(start), path].join(' → ')}`);
    if (start >= 0 || done.has(path)) return;
    for (const { target, typeOnly } of byPath.get(path)?.imports ?? []) {
      if (!typeOnly && byPath.has(target)) visit(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const { path } of modules) visit(path, []);
  return found;
}
