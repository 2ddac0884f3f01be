/** `npm run simulate -- --seed N`: see simulate.ts. */
import '../conformance/typescript-sources.mjs';

const { simulate } = await import('./simulate.ts');
process.exitCode = await simulate(process.argv.slice(2));
