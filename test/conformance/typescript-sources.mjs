/**
 * Lets Node run the TypeScript sources as they are: preload it with `node --import`. Node strips the types itself; what is
 * left is that our imports name the compiled file (`./errors.js`) where on disk there is only `./errors.ts`.
 */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';

registerHooks({
  resolve(specifier, context, nextResolve) {
    const source = sourceBehind(specifier, context.parentURL);
    return nextResolve(source ?? specifier, context);
  },
});

/** The URL of the `.ts` file that a relative import of a missing `.js` file means, or undefined. */
function sourceBehind(specifier, parentUrl) {
  if (!/^\.{1,2}\/.*\.js$/.test(specifier) || parentUrl === undefined || !parentUrl.startsWith('file:'))
    return undefined;
  const url = new URL(specifier, parentUrl);
  if (existsSync(fileURLToPath(url))) return undefined;
  url.pathname = url.pathname.replace(/\.js$/, '.ts');
  return existsSync(fileURLToPath(url)) ? url.href : undefined;
}
