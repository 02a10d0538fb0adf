// SPDX-License-Identifier: Apache-2.0
// Picking what is shown: service, kind, labels, time; the URL, the back button, links.
import assert from 'node:assert/strict';
import { drag, pageTest, painted, params, setUp } from './harness.mjs';

setUp();
const range = 'from=1700000000&to=1700003600';

pageTest('the service that sent last is shown at once, and another is found by typing', {}, async (page) => {
  await painted(page);
  assert.equal(params(page).get('service'), 'checkout-api');
  await page.click('.service-picker button');
  await page.keyboard.type('redis');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.title.startsWith('redis-server'));
  assert.equal(params(page).get('service'), 'redis-server');
});

pageTest(
  'a kind and a type change the chart and the values',
  { query: '?service=checkout-api' },
  async (page, server) => {
    await painted(page);
    await page.click('.segment:has-text("Memory")');
    await page.waitForFunction(() => document.querySelector('.panel-unit').textContent === '');
    await page.selectOption('.title-select', 'alloc_space');
    await page.waitForFunction(() => document.querySelector('.panel-unit').textContent === 'per second');
    await page.waitForFunction(() => /[KMG]iB/.test(document.querySelector('.summary').textContent));
    assert.ok(server.requests.some((path) => path.startsWith('/api/v1/top?') && path.includes('type=alloc_space')));
  },
);

pageTest(
  'dragging on the timeline zooms into the range; a double click and the back button leave it',
  { query: `?service=checkout-api&${range}` },
  async (page) => {
    await painted(page);
    await page.waitForSelector('.u-over');
    await drag(page, 0.25, 0.5);
    await page.waitForFunction(() => !location.search.includes('from=1700000000'));
    const [from, to] = [Number(params(page).get('from')), Number(params(page).get('to'))];
    assert.ok(Math.abs(from - 1700000900) < 30, `from ${from}`);
    assert.ok(Math.abs(to - 1700001800) < 30, `to ${to}`);
    await drag(page, 0.2, 0.8);
    await page.waitForFunction((old) => !location.search.includes(`from=${old}`), from);
    await page.dblclick('.u-over');
    await page.waitForFunction((old) => location.search.includes(`from=${old}`), from);
    await page.dblclick('.u-over');
    await page.waitForFunction(() => location.search.includes('from=1700000000'));
    await page.goBack();
    await page.waitForFunction((old) => location.search.includes(`from=${old}`), from);
  },
);

pageTest(
  'a click on the timeline without a drag changes nothing',
  { query: `?service=checkout-api&${range}` },
  async (page) => {
    await painted(page);
    const address = page.url();
    await page.click('.u-over');
    await page.waitForTimeout(300);
    assert.equal(page.url(), address);
  },
);

pageTest(
  'label filters become chips and reach every request',
  { query: `?service=checkout-api&${range}` },
  async (page, server) => {
    await painted(page);
    for (const [label, value] of [
      ['host.name', 'web-1'],
      ['host.name', 'web-2'],
      ['service.version', '2.4.1'],
    ]) {
      await page.click('.add-filter button');
      await page.click(`.add-filter .option:has-text("${label}")`);
      await page.click(`.add-filter .option:has-text("${value}")`);
    }
    await page.waitForFunction(() => document.querySelectorAll('.chip').length === 3);
    assert.deepEqual(params(page).getAll('match'), ['host.name=web-1', 'host.name=web-2', 'service.version=2.4.1']);
    await page.waitForTimeout(200);
    for (const path of ['series', 'flame', 'top']) {
      const last = server.requests.filter((one) => one.startsWith(`/api/v1/${path}?`)).pop();
      assert.deepEqual(new URL(last, 'http://x').searchParams.getAll('match'), params(page).getAll('match'), path);
    }
    await page.click('.chip-remove >> nth=1');
    await page.waitForFunction(() => document.querySelectorAll('.chip').length === 2);
    assert.deepEqual(params(page).getAll('match'), ['host.name=web-1', 'service.version=2.4.1']);
  },
);

pageTest(
  'the timeline is grouped by a label, with a legend that hides lines',
  { query: `?service=checkout-api&${range}` },
  async (page) => {
    await painted(page);
    await page.click('.group-by button');
    await page.click('.group-by .option:has-text("host.name")');
    await page.waitForSelector('.legend-item');
    assert.deepEqual(await page.locator('.legend-item').allTextContents(), ['web-1', 'web-2', 'web-3']);
    await page.click('.legend-item >> nth=1');
    assert.equal(await page.locator('.legend-item >> nth=1').getAttribute('aria-pressed'), 'false');
    assert.equal(params(page).get('by'), 'host.name');
  },
);

pageTest('an exact range is typed, and a wrong one says so', { query: '?service=checkout-api' }, async (page) => {
  await painted(page);
  await page.click('.time-picker button');
  await page.fill('.exact .field >> nth=0', 'tomorrow-ish');
  await page.click('.exact button');
  assert.match(await page.locator('.complaint').textContent(), /“From” is not a time/);
  await page.fill('.exact .field >> nth=0', '2023-11-14T22:13:20Z');
  await page.fill('.exact .field >> nth=1', '2023-11-14T22:00:00Z');
  await page.click('.exact button');
  assert.match(await page.locator('.complaint').textContent(), /must be before/);
  await page.fill('.exact .field >> nth=1', '2023-11-14T23:13:20Z');
  await page.click('.exact button');
  await page.waitForFunction(() => location.search.includes('from=1700000000'));
  assert.equal(params(page).get('to'), '1700003600');
});

pageTest('a preset is one click, steps move by half of it', { query: '?service=checkout-api' }, async (page) => {
  await painted(page);
  await page.click('.time-picker button');
  await page.click('.preset:has-text("Last 15 minutes")');
  assert.equal(params(page).get('from'), 'now-15m');
  await page.keyboard.press('[');
  const [from, to] = [Number(params(page).get('from')), Number(params(page).get('to'))];
  assert.equal(to - from, 900);
  assert.ok(Math.abs(Date.now() / 1000 - to - 450) < 30);
});

pageTest(
  'live asks again every ten seconds, and stops when it is switched off',
  {
    query: '?service=checkout-api',
    prepare: (page) => page.clock.install(),
  },
  async (page, server) => {
    await painted(page);
    const asked = () => server.requests.filter((path) => path.startsWith('/api/v1/series?')).length;
    await page.click('.live');
    await page.waitForFunction(() => location.search.includes('live=1'));
    for (const round of [1, 2]) {
      const before = asked();
      await page.clock.runFor(10_500);
      await page.waitForTimeout(300);
      assert.ok(asked() > before, `round ${round}`);
    }
    await page.click('.live');
    const before = asked();
    await page.clock.runFor(30_000);
    await page.waitForTimeout(200);
    assert.equal(asked(), before);
  },
);

pageTest(
  'reloading the URL gives the same view, pixel for pixel',
  {
    query: `?service=checkout-api&kind=heap&type=alloc_space&${range}&match=host.name%3Dweb-1&by=service.version&view=both&q=sql&sort=-total`,
  },
  async (page) => {
    const snapshot = async () => {
      await painted(page);
      await page.waitForSelector('.legend-item');
      await page.waitForSelector('.badge:not([hidden])');
      return page.evaluate(() => ({
        canvas: document.querySelector('.flame-canvas').toDataURL(),
        table: document.querySelector('.top-table').textContent,
        filters: document.querySelector('.filters').textContent,
        badge: document.querySelector('.badge').textContent,
        legend: document.querySelector('.legend').textContent,
        head: document.querySelector('.head').textContent,
      }));
    };
    await painted(page);
    await page.click('.flame-canvas', { position: { x: 120, y: 6.5 * 21 } });
    await page.waitForSelector('.breadcrumb:not([hidden])');
    await page.mouse.move(5, 5);
    await page.waitForTimeout(200);
    const first = await snapshot();
    const address = page.url();
    assert.ok(params(page).get('zoom'));
    await page.reload();
    await page.waitForSelector('.breadcrumb:not([hidden])');
    await page.waitForTimeout(200);
    assert.deepEqual(await snapshot(), first);
    assert.equal(page.url(), address);
  },
);

pageTest('the back button takes back step by step', { query: `?service=checkout-api&${range}` }, async (page) => {
  await painted(page);
  await page.click('.segment:has-text("Locks")');
  await page.click('.segment:has-text("Top table")');
  await page.click('.sort:has-text("Total")');
  assert.equal(params(page).get('sort'), '-total');
  await page.goBack();
  assert.equal(params(page).get('sort'), null);
  assert.equal(params(page).get('view'), 'top');
  await page.goBack();
  assert.equal(await page.locator('.segment:has-text("Both")').getAttribute('aria-pressed'), 'true');
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('.head .segment[aria-pressed=true]').textContent === 'CPU');
  await page.goForward();
  await page.waitForFunction(() => document.querySelector('.head .segment[aria-pressed=true]').textContent === 'Locks');
});

pageTest(
  'the link that is copied holds the range in sight, the download is the same selection',
  { query: '?service=checkout-api&match=host.name%3Dweb-1' },
  async (page) => {
    await painted(page);
    await page.click('button:has-text("Copy link")');
    await page.waitForSelector('.toast:not([hidden])');
    const copied = new URL(await page.evaluate(() => navigator.clipboard.readText()));
    const [from, to] = [Number(copied.searchParams.get('from')), Number(copied.searchParams.get('to'))];
    assert.equal(to - from, 3600);
    assert.equal(copied.searchParams.get('match'), 'host.name=web-1');
    const link = new URL(await page.getAttribute('a[download]', 'href'), page.url());
    assert.equal(link.pathname, '/api/v1/profile');
    assert.deepEqual(Object.fromEntries(link.searchParams), {
      service: 'checkout-api',
      kind: 'cpu',
      type: 'cpu',
      from: 'now-1h',
      to: 'now',
      match: 'host.name=web-1',
    });
  },
);

const focusedText = (page) => page.evaluate(() => document.activeElement.textContent);

for (const [what, selector] of [
  ['a sort header', 'th.col-total .sort'],
  ['a function', 'tbody tr:nth-child(2) .function'],
  ['a tab', '.graph-head .segment:has-text("Top table")'],
  ['a kind', '.head .segment:has-text("Memory")'],
])
  pageTest(`${what} keeps the focus when Enter has chosen it`, { query: '?service=checkout-api' }, async (page) => {
    await painted(page);
    const before = page.url();
    await page.focus(selector);
    const text = await focusedText(page);
    await page.keyboard.press('Enter');
    await page.waitForFunction((url) => location.href !== url, before);
    await page.waitForTimeout(300);
    assert.equal(await focusedText(page), text);
  });

pageTest(
  'a list that is open keeps its field and what was typed through a refresh',
  { query: '?service=checkout-api' },
  async (page, server) => {
    await painted(page);
    await page.click('.add-filter .picker');
    await page.waitForSelector('.add-filter input');
    await page.focus('.add-filter input');
    await page.keyboard.type('ho');
    const asked = server.requests.length;
    // What a live page does every ten seconds.
    await page.evaluate(() => document.querySelector('[title="Refresh (.)"]').click());
    for (let i = 0; i < 50 && server.requests.length === asked; ++i) await page.waitForTimeout(20);
    assert.ok(server.requests.length > asked, 'the page asked again');
    await page.waitForTimeout(300);
    await page.keyboard.type('st');
    assert.equal(await page.inputValue('.add-filter input'), 'host');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'INPUT');
  },
);
