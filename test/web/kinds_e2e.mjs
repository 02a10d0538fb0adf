// SPDX-License-Identifier: Apache-2.0
// Each kind of profile on the dashboard of a real collector with a made-up history: the pickers offer what the
// service has, and every number has the unit that people read. With SIPROF_SCREENSHOTS=DIR it leaves a picture of
// each kind there, light and dark; with SIPROF_COLLECTOR_URL it looks at that collector instead.
// Usage: node FILE SIPROF_COLLECTOR COLLECTOR_LOAD.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openBrowser, skipWithoutBrowser } from './browser.mjs';
import { painted, params } from './harness.mjs';
import { startCollector } from './real_collector.mjs';

skipWithoutBrowser();

const time = /^[\d.]+ (ns|µs|ms|s|min|h|d)$/;
const bytes = /^[\d.]+ ([KMGTP]i)?B$/;
const count = /^[\d.]+( [kMG])?$/;
const perSecond = (unit) => new RegExp(unit.source.replace(/\$$/, '/s$'));

// Of each kind and type: what the axis counts, what a point of the line reads like, and a total.
const readings = {
  cpu: { cpu: ['cores', /^[\d.]+ cores$/, time], samples: ['per second', perSecond(count), count] },
  heap: {
    alloc_objects: ['per second', perSecond(count), count],
    alloc_space: ['per second', perSecond(bytes), bytes],
    inuse_objects: ['', count, count],
    inuse_space: ['', bytes, bytes],
  },
  lock: {
    contentions: ['per second', perSecond(count), count],
    delay: ['per second', perSecond(time), time],
  },
  io: {
    contentions: ['per second', perSecond(count), count],
    delay: ['per second', perSecond(time), time],
    bytes: ['per second', perSecond(bytes), bytes],
  },
  errors: { exceptions: ['per minute', /^[\d.]+( [kMG])?\/min$/, count] },
};

let address = process.env.SIPROF_COLLECTOR_URL?.replace(/\/$/, '');
let collector;
let browser;
let page;
let service; // as /services has it
let range;
const troubles = [];

const ask = async (path, query) => {
  const response = await fetch(`${address}/api/v1/${path}?${new URLSearchParams(query)}`);
  assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
  return response.json();
};

before(async () => {
  if (!address) {
    collector = await startCollector(...process.argv.slice(2));
    address = collector.url;
  }
  const { services } = await ask('services', {});
  const wanted = process.env.SIPROF_SERVICE;
  service = services.find((one) => one.service === wanted) ?? services.reduce((a, b) => (b.kinds.length > a.kinds.length ? b : a));
  range = { from: String(Math.floor(service.last) - 900), to: String(Math.ceil(service.last) + 10) };
  browser = await openBrowser();
  page = await browser.context.newPage();
  page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()));
  page.on('pageerror', (error) => troubles.push(String(error.stack)));
});
after(async () => {
  await browser?.close();
  await collector?.close();
});

async function open(query) {
  await page.goto(`${address}/?${new URLSearchParams({ service: service.service, ...range, ...query })}`);
  await painted(page);
  await page.waitForSelector('.function');
}

// What the pointer reads at the middle of the line, or beside it where nothing was recorded there.
async function readout() {
  const box = await page.locator('.u-over').boundingBox();
  for (let share = 0.5; share < 0.98; share += 0.01) {
    await page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
    const text = await page.textContent('.readout strong').catch(() => '');
    if (text && text !== 'nothing recorded') return text;
  }
  return '';
}

test('the pickers offer the kinds and types that the service has, and picking one shows it', async () => {
  await open({});
  const offered = await page.locator('.segments[aria-label="Kind of profile"] .segment').evaluateAll((all) => all.map((one) => one.dataset.key));
  assert.deepEqual([...offered].sort(), service.kinds.map(({ kind }) => kind).sort());
  for (const { kind, default_type, types } of service.kinds) {
    await page.click(`.segment[data-key="${kind}"]`);
    await page.waitForSelector(`.segment[data-key="${kind}"][aria-pressed="true"]`);
    await painted(page);
    assert.equal(params(page).get('kind'), kind);
    const values = await page.locator('.title-select option').evaluateAll((all) => all.map((one) => one.value));
    assert.deepEqual(values, types.map(({ type }) => type));
    assert.equal(await page.inputValue('.title-select'), default_type);
  }
});

for (const [kind, types] of Object.entries(readings)) {
  for (const [type, [axis, point, total]] of Object.entries(types)) {
    test(`${kind} by ${type}: axis, line, total and table are in its unit`, async (context) => {
      if (!service.kinds.some((one) => one.kind === kind)) return context.skip(`${service.service} has no ${kind}`);
      await open({ kind, type });
      assert.equal(await page.textContent('.panel-unit'), axis);
      assert.match(await readout(), point);
      assert.match(await page.textContent('.summary strong'), total);
      const cells = await page.locator('.top-table td .number, .top-table td').evaluateAll((all) => all.map((one) => one.textContent));
      assert.ok(cells.length > 0);
      const average = / on average in /.test(await page.textContent('.summary'));
      assert.equal(average, type.startsWith('inuse_'), 'only a level is an average');
    });
  }
}

test('over a range a level is the mean of its windows, all else the sum', async (context) => {
  if (!service.kinds.some((one) => one.kind === 'heap')) return context.skip(`${service.service} has no memory profiles`);
  for (const type of ['alloc_space', 'inuse_space']) {
    const query = { service: service.service, kind: 'heap', type, ...range };
    const { total } = await ask('flame', query);
    const { series } = await ask('series', query);
    const values = series[0].values.filter((value) => value !== null);
    const sum = values.reduce((a, b) => a + b, 0);
    const expected = type === 'inuse_space' ? sum / values.length : sum;
    // Steps at both ends may hold fewer windows than the others.
    assert.ok(Math.abs(total - expected) < 0.05 * expected, `${type}: ${total} instead of about ${expected}`);
  }
});

test('every kind has its picture, light and dark, and nothing was written to the console', async () => {
  const folder = process.env.SIPROF_SCREENSHOTS;
  for (const colorScheme of folder ? ['light', 'dark'] : []) {
    mkdirSync(folder, { recursive: true });
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width: 1440, height: 900 });
    for (const { kind, types } of service.kinds) {
      for (const { type } of types) {
        await open({ kind, type });
        await readout();
        await page.waitForTimeout(200);
        await page.screenshot({ path: join(folder, `${kind}-${type}-${colorScheme}.png`) });
      }
    }
  }
  assert.deepEqual(troubles, []);
});
