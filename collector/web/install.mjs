// SPDX-License-Identifier: Apache-2.0
// Installs the npm packages of package-lock.json beside it, when they are missing or the lock file has
// changed since. Called by meson before the build and the tests of the dashboard; without a change it
// needs neither npm nor a network. Several build folders may call it at once: flock(1) lets one through.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const stamp = join(here, 'node_modules', '.siprof-lock');
const wanted = createHash('sha256')
  .update(readFileSync(join(here, 'package-lock.json')))
  .digest('hex');

function upToDate() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
}

function fail(message) {
  console.error(`collector/web: ${message}`);
  process.exit(1);
}

function install() {
  const npm = process.env.NPM ?? 'npm';
  // No package script runs: esbuild finds its binary package without one.
  const done = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: here, encoding: 'utf8' });
  if (done.error)
    fail(
      `npm cannot be started (${done.error.message}); run scripts/setup or install npm, or configure with -Dcollector=false`,
    );
  if (done.status !== 0) fail(`npm ci failed; is the package registry reachable?\n${done.stdout}${done.stderr}`);
  writeFileSync(stamp, wanted);
}

if (!upToDate() && process.argv.includes('--locked')) {
  install();
} else if (!upToDate()) {
  // The second start looks again, because another build may have installed while this one waited.
  const script = fileURLToPath(import.meta.url);
  const done = spawnSync('flock', [join(here, '.install.lock'), process.execPath, script, '--locked'], {
    stdio: 'inherit',
  });
  if (done.error) fail(`flock cannot be started (${done.error.message}); it is in Debian's util-linux`);
  if (done.status !== 0) process.exit(done.status ?? 1);
}
