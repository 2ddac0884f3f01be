import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// Goal: an app compiles with the declarations of the package, also where its `lib` is older than the code's, and where
// its compiler looks into them (no skipLibCheck). Method: the compiler over a program in the package's own scope, which
// resolves its name by the exports map. Needs a build.
test('an app for ES2022 compiles with the types of the package, which are checked, too', () => {
  const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
  const project = fileURLToPath(new URL('types/tsconfig.json', import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [compiler, '-p', project], { encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
