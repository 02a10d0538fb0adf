// SPDX-License-Identifier: Apache-2.0
// Bundles the dashboard and writes it as C++: `node build.mjs OUT_CPP OUT_MANIFEST DEPFILE`. The manifest
// lists the same files for the test server, which serves them from the folder `dist` beside it. Names carry
// a hash of the content, so that browsers may keep them for good.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { embed } from './embed.mjs';
import './install.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const [outCpp, outManifest, depfile] = process.argv.slice(2).map((path) => resolve(path));
if (!depfile) throw new Error('usage: node build.mjs OUT_CPP OUT_MANIFEST DEPFILE');

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const types = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
  html: 'text/html; charset=utf-8',
};

async function bundle() {
  const { build } = await import('esbuild');
  const result = await build({
    absWorkingDir: here,
    entryPoints: { app: 'src/main.ts', theme: 'src/theme_boot.ts', style: 'src/style/index.css' },
    outdir: 'out',
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    legalComments: 'none',
    format: 'iife',
    target: ['chrome100', 'firefox100', 'safari15'],
    charset: 'utf8',
    logLevel: 'warning',
  });
  return { files: result.outputFiles, inputs: Object.keys(result.metafile.inputs) };
}

function hashed(name, extension, body) {
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12);
  return { path: `/assets/${name}-${hash}.${extension}`, type: types[extension], body, immutable: true };
}

const { files, inputs } = await bundle();
const assets = files.map((file) => {
  const [, name, extension] = /([^/\\]+)\.(\w+)$/.exec(file.path);
  return { name, ...hashed(name, extension, Buffer.from(file.contents)) };
});
assets.push({ name: 'icon', ...hashed('icon', 'svg', readFileSync(join(here, 'src/icon.svg'))) });

// Relative addresses: the page also works below a path of a reverse proxy.
const page = readFileSync(join(here, 'src/index.html'), 'utf8').replace(/\{\{(\w+)\.\w+\}\}/g, (all, name) => {
  const asset = assets.find((one) => one.name === name);
  if (!asset) throw new Error(`src/index.html names ${all}, which is not built`);
  return asset.path.slice(1);
});
assets.push({ name: 'page', path: '/', type: types.html, body: Buffer.from(page), immutable: false });
assets.sort((a, b) => (a.path < b.path ? -1 : 1));

const dist = join(dirname(outManifest), 'dist');
rmSync(dist, { recursive: true, force: true });
mkdirSync(join(dist, 'assets'), { recursive: true });
for (const asset of assets) {
  asset.file = asset.path === '/' ? 'index.html' : asset.path.slice(1);
  writeFileSync(join(dist, asset.file), asset.body);
}
writeFileSync(outCpp, embed(assets, policy));
const listed = assets.map(({ path, type, file, immutable }) => ({ path, type, file, immutable }));
writeFileSync(outManifest, JSON.stringify({ policy, assets: listed }, null, 1));
const sources = [...inputs, 'src/index.html', 'src/icon.svg', 'package-lock.json', 'embed.mjs', 'install.mjs'];
writeFileSync(depfile, `${relative(process.cwd(), outCpp)}: ${sources.map((path) => join(here, path)).join(' ')}\n`);
