import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';
import { MINIFIED, workerChunks } from '../../vite.config.js';

/** What a module weighs once it is bundled with all dependencies, minified and gzipped. */
export interface Bundle {
  /** Bytes of what is loaded at once, and with the modules whose name begins so when they are asked for. */
  loading(...parts: readonly string[]): number;
  /** Bytes of all chunks. */
  readonly total: number;
  /** The names of what can be asked for. */
  readonly parts: readonly string[];
}

interface Chunk {
  readonly fileName: string;
  readonly name: string;
  readonly code: string;
  readonly imports: readonly string[];
  readonly isEntry: boolean;
  readonly dynamicImports: readonly string[];
}

/** The worker at `path`, counted from the project's root, in the chunks that the package has it in. */
export function builtWorker(path: string): Promise<Bundle> {
  return bundle(path, { output: { codeSplitting: { groups: workerChunks(path) } } });
}

interface BundleOptions {
  readonly preserveEntrySignatures?: false;
  readonly output?: object;
}

/** Nobody asks what the entry of an app's page exports. */
const PAGE: BundleOptions = { preserveEntrySignatures: false };

/** Bundles the module at `path`, counted from the project's root, as the bundler of an app would. */
export async function bundle(path: string, options: BundleOptions = PAGE): Promise<Bundle> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    plugins: [
      {
        // The worker has a budget of its own: here its URL is not followed.
        name: 'no-worker',
        enforce: 'pre',
        transform: (code: string) => code.replaceAll('import.meta.url', '"/"'),
      },
    ],
    build: {
      write: false,
      target: 'es2022',
      // As a library: what Vite adds to an app, to preload chunks and styles, is not ours.
      lib: { entry: fileURLToPath(new URL(`../../${path}`, import.meta.url)), formats: ['es'], fileName: 'entry' },
      rolldownOptions: { ...options, output: { ...MINIFIED, ...options.output } },
    },
  });
  const chunks = [result]
    .flat()
    .flatMap((one) => ('output' in one ? (one.output as readonly (Chunk & { readonly type: string })[]) : []))
    .filter(({ type }) => type === 'chunk');
  const byName = new Map(chunks.map((chunk) => [chunk.fileName, chunk]));
  const bytesOf = (loaded: Iterable<Chunk>): number =>
    [...loaded].reduce((bytes, { code }) => bytes + gzipSync(code, { level: 9 }).byteLength, 0);
  return {
    loading(...parts) {
      const loaded = new Set(chunks.filter(({ isEntry, name }) => isEntry || parts.includes(name)));
      for (const { imports } of loaded) for (const fileName of imports) loaded.add(byName.get(fileName)!);
      return bytesOf(loaded);
    },
    total: bytesOf(chunks),
    parts: [...new Set(chunks.flatMap(({ dynamicImports }) => dynamicImports))].map((file) => byName.get(file)!.name),
  };
}
