// SPDX-License-Identifier: Apache-2.0
// The dashboard as a real siprof-collector serves it: one of its own with a made-up history, or the one that
// SIPROF_COLLECTOR_URL names (SIPROF_COLLECTOR_TOKEN: its token). With SIPROF_SCREENSHOTS=DIR it leaves pictures
// there. What the page says is compared with what the API answers. Usage: node FILE SIPROF_COLLECTOR COLLECTOR_LOAD.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser, skipWithoutBrowser } from './browser.mjs';
import { drag, painted, params } from './harness.mjs';
import { startCollector } from './real_collector.mjs';

skipWithoutBrowser();
const token = process.env.SIPROF_COLLECTOR_TOKEN ?? '';
let address = process.env.SIPROF_COLLECTOR_URL?.replace(/\/$/, '');
let collector;

const authorized = { headers: token ? { Authorization: `Bearer ${token}` } : {} };
const ask = async (path, query) => {
  const response = await fetch(`${address}/api/v1/${path}?${new URLSearchParams(query)}`, authorized);
  assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
  return response.json();
};

const troubles = [];
let browser;
let page;
let selection; // the latest service's last quarter of an hour, in absolute times

before(async () => {
  if (!address) {
    collector = await startCollector(...process.argv.slice(2));
    address = collector.url;
  }
  const { services } = await ask('services', {});
  assert.ok(services.length > 0, 'the collector has no service');
  const latest = services.reduce((a, b) => (b.last > a.last ? b : a));
  const kind = latest.kinds.find((one) => one.kind === 'cpu') ?? latest.kinds[0];
  selection = {
    service: latest.service,
    kind: kind.kind,
    type: kind.default_type,
    from: String(Math.floor(latest.last) - 900),
    to: String(Math.ceil(latest.last) + 10),
  };
  browser = await openBrowser();
  page = await browser.context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 401/.test(message.text())) troubles.push(message.text());
  });
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
  page.on('request', (request) => {
    if (!request.url().startsWith(address)) troubles.push(`request to ${request.url()}`);
  });
});
after(async () => {
  await browser?.close();
  await collector?.close();
});

async function open(query) {
  await page.goto(`${address}/?${new URLSearchParams(query)}`);
  if (token && (await page.waitForSelector('input[type=password]', { timeout: 3000 }).catch(() => null))) {
    await page.fill('input[type=password]', token);
    await page.click('.login button');
  }
  await painted(page);
}

test('the page is served with a strict policy, its files for good', async () => {
  const response = await fetch(`${address}/`);
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /text\/html/);
  assert.match(response.headers.get('content-security-policy'), /default-src 'none'/);
  const script = /src="([^"]*app-[^"]*)"/.exec(await response.text())[1];
  assert.match((await fetch(`${address}/${script}`)).headers.get('cache-control'), /immutable/);
});

test('a service is found by typing its name', async () => {
  const { services } = await ask('services', {});
  const wanted = services.find(({ service }) => service !== selection.service) ?? services[0];
  await open({});
  await page.click('.service-picker button');
  await page.keyboard.type(wanted.service);
  await page.keyboard.press('Enter');
  await page.waitForFunction((name) => document.title.startsWith(name), wanted.service);
  await painted(page);
  assert.equal(params(page).get('service'), wanted.service);
});

test('the total, the table and the matched share are the API’s', async () => {
  const top = await ask('top', { ...selection, limit: '1000', sort: 'self' });
  await open(selection);
  await page.waitForSelector('.function');
  const shown = await page
    .locator('.function')
    .evaluateAll((all) => all.slice(0, 5).map((one) => one.title.split('\n')[0]));
  const shares = new Map(top.functions.map((one) => [one.name, one.self]));
  shown.forEach((name, at) => assert.equal(shares.get(name), top.functions[at].self, name));
  await page.click('.function >> nth=0');
  await page.waitForSelector('.badge:not([hidden])');
  const first = top.functions.find(({ name }) => name === shown[0]);
  const matched = parseFloat(/[\d.]+/.exec(await page.textContent('.badge'))[0]);
  // The flame graph leaves the smallest nodes to (other), so it may match a little less.
  assert.ok(Math.abs(matched - first.total_share * 100) <= 1, `${matched} % instead of ${first.total_share * 100} %`);
});

test('a dragged range, a zoom and a search are in the URL, and a reload shows them again', async () => {
  await open(selection);
  await page.waitForSelector('.u-over');
  await drag(page, 0.3, 0.98);
  await page.waitForFunction((from) => !location.search.includes(`from=${from}`), selection.from);
  await page.waitForTimeout(500);
  await painted(page);
  await page.keyboard.press('f');
  for (let step = 0; step < 2; ++step) await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.breadcrumb:not([hidden])');
  await page.fill('.search-field', 'a');
  await page.waitForSelector('.badge:not([hidden])');
  const read = () =>
    page.evaluate(() =>
      ['.crumb.current', '.badge', '.summary', '.top-table'].map((one) => document.querySelector(one).textContent),
    );
  const before = await read();
  assert.ok(params(page).get('zoom'));
  await page.reload();
  await painted(page);
  await page.waitForSelector('.breadcrumb:not([hidden])');
  await page.waitForSelector('.badge:not([hidden])');
  await page.waitForSelector('.function');
  assert.deepEqual(await read(), before);
});

test('the timeline can be grouped by each label', async () => {
  const { labels } = await ask('labels', { service: selection.service, from: selection.from, to: selection.to });
  assert.ok(labels.length > 0, 'no labels');
  for (const by of labels.slice(0, 3)) {
    await open({ ...selection, by });
    await page.waitForSelector('.legend-item');
  }
});

test('runtime metrics are charts, and the numbers in them the API’s', async () => {
  const { service, from, to } = selection;
  const { metrics } = await ask('metrics', { service, from, to });
  if (collector) assert.ok(metrics.length >= 9, 'the made-up agents send metrics');
  await open({ ...selection, metrics: '1' });
  if (metrics.length === 0) return page.waitForSelector('.metrics-empty strong');
  await page.waitForSelector('.metric .u-over');
  assert.ok((await page.locator('.metric').count()) >= Math.min(metrics.length, 7));
  const memory = page.locator('.metric', { has: page.locator('.metric-title:text-is("Memory (RSS)")') });
  const text = await memory.locator('.metric-values').textContent();
  const { series } = await ask('metrics', { service, from, to, name: 'process.memory.usage', step: '10' });
  const last = series[0].values.findLast((value) => value !== null);
  const [, shown, unit] = /^([\d.]+) (MiB|GiB)/.exec(text);
  const bytes = Number(shown) * { MiB: 2 ** 20, GiB: 2 ** 30 }[unit];
  assert.ok(Math.abs(bytes / last - 1) < 0.01, `${text}: ${last}`);
  if (collector) assert.match(await memory.locator('.metric-note').textContent(), /^limit [\d.]+ GiB$/);
});

test('the download is a gzip file', async () => {
  await open(selection);
  const href = await page.getAttribute('a[download]', 'href');
  const response = await fetch(new URL(href, `${address}/`), authorized);
  assert.equal(response.status, 200);
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.deepEqual([...bytes.subarray(0, 2)], [0x1f, 0x8b]);
});

async function leavePictures(name) {
  const folder = process.env.SIPROF_SCREENSHOTS;
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.waitForSelector('.function');
  for (const width of [1000, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(folder, `${name}-${width}.png`) });
  }
}

test('light and dark have grounds of their own, and both draw the graph', async () => {
  const grounds = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await open(selection);
    const [red, green, blue] = await page.evaluate(() =>
      getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g).slice(0, 3).map(Number),
    );
    grounds.push((red + green + blue) / 3);
    await leavePictures(colorScheme);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  assert.ok(grounds[0] > 200 && grounds[1] < 60, `light ${grounds[0]}, dark ${grounds[1]}`);
});

test('an unknown service says so, and nothing was written to the console', async () => {
  await page.goto(`${address}/?service=no-such-service-here`);
  await page.waitForSelector('.page-notice .notice');
  assert.match(await page.textContent('.page-notice'), /no-such-service-here/);
  assert.deepEqual(troubles, []);
});
