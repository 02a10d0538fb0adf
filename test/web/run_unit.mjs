// SPDX-License-Identifier: Apache-2.0
// Type-checks the dashboard and its tests, then runs the unit tests of the pure modules: each *_test.ts beside
// this file is bundled by esbuild and given to node's own test runner.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import '../../collector/web/install.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const webFolder = join(here, '../../collector/web');
const { buildSync } = createRequire(join(webFolder, 'package.json'))('esbuild');

const types = spawnSync(process.execPath, [join(webFolder, 'node_modules/typescript/bin/tsc'), '--noEmit'], {
  cwd: webFolder,
  stdio: 'inherit',
});
if (types.status !== 0) process.exit(1);

const out = mkdtempSync(join(tmpdir(), 'siprof-web-unit-'));
try {
  const tests = readdirSync(here).filter((name) => name.endsWith('_test.ts'));
  if (tests.length === 0) throw new Error('no *_test.ts beside run_unit.mjs');
  buildSync({
    entryPoints: tests.map((name) => join(here, name)),
    outdir: out,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node18',
    sourcemap: 'inline',
    outExtension: { '.js': '.mjs' },
    logLevel: 'warning',
  });
  const files = tests.map((name) => join(out, name.replace(/\.ts$/, '.mjs')));
  const run = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], { stdio: 'inherit' });
  process.exitCode = run.status ?? 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}
