// SPDX-License-Identifier: Apache-2.0
// A headless Chromium with a profile of its own that ends with the tests. SIPROF_CHROMIUM names another binary.
import { createRequire } from 'node:module';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const webFolder = join(dirname(fileURLToPath(import.meta.url)), '../../collector/web');
const { chromium } = createRequire(join(webFolder, 'package.json'))('playwright-core');

export const executablePath = process.env.SIPROF_CHROMIUM ?? '/usr/bin/chromium';

// Meson counts an exit with 77 as skipped.
export function skipWithoutBrowser() {
  if (existsSync(executablePath)) return;
  console.log(`skipped: no Chromium at ${executablePath}; install Debian's chromium or set SIPROF_CHROMIUM`);
  process.exit(77);
}

export async function openBrowser(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'siprof-web-test-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    viewport: { width: 1440, height: 900 },
    permissions: ['clipboard-read', 'clipboard-write'],
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    ...options,
  });
  const close = async () => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close };
}
