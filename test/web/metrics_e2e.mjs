// SPDX-License-Identifier: Apache-2.0
// The panel of runtime metrics: opened and closed, its charts, what it shares with the timeline, its keys. With
// SIPROF_SCREENSHOTS=DIR it leaves pictures there, light and dark, wide and narrow.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { drag, pageTest, painted, params, setUp } from './harness.mjs';

setUp();
const range = 'from=1700000000&to=1700003600';
const open = `?service=checkout-api&${range}&metrics=1`;
const titles = (page) => page.locator('.metric-title').allTextContents();
const drawn = (page) => page.waitForFunction(() => document.querySelectorAll('.metric .u-over').length >= 9);
const asked = (server) => server.requests.filter((path) => path.startsWith('/api/v1/metrics'));

pageTest(
  'the panel is closed and asks for nothing until it is opened; whether it is open is in the URL',
  { query: `?service=checkout-api&${range}` },
  async (page, server) => {
    await painted(page);
    assert.equal(await page.getAttribute('.metrics-toggle', 'aria-expanded'), 'false');
    assert.ok(await page.locator('.metrics-body').isHidden());
    assert.deepEqual(asked(server), []);
    await page.click('.metrics-toggle');
    await drawn(page);
    assert.equal(params(page).get('metrics'), '1');
    assert.equal(await page.getAttribute('.metrics-toggle', 'aria-expanded'), 'true');
    await page.reload();
    await drawn(page);
    await page.click('.metrics-toggle');
    assert.ok(await page.locator('.metrics-body').isHidden());
    assert.equal(params(page).get('metrics'), null);
    await page.goBack();
    await page.waitForSelector('.metrics-body:not([hidden])');
  },
);

pageTest(
  'each metric that the service has is a chart, with units as people read them and limits as lines',
  { query: open },
  async (page, server) => {
    await drawn(page);
    assert.deepEqual(await titles(page), [
      'CPU utilization',
      'Memory (RSS)',
      'Threads',
      'Open descriptors',
      'Page faults',
      'Context switches',
      'Disk I/O',
      'GC runs',
      'queue.depth',
    ]);
    const text = (title) =>
      page.locator('.metric', { has: page.locator(`.metric-title:text-is("${title}")`) }).evaluate((one) => ({
        values: one.querySelector('.metric-values').textContent.trim(),
        note: one.querySelector('.metric-note').textContent,
        name: one.querySelector('.metric-plot').getAttribute('aria-label'),
      }));
    const cpu = await text('CPU utilization');
    assert.match(cpu.values, /^user [\d.]+ cores system [\d.]+ cores$/);
    assert.equal(cpu.note, 'limit 4 cores');
    const memory = await text('Memory (RSS)');
    assert.match(memory.values, /^[\d.]+ [MG]iB peak [\d.]+ [MG]iB$/);
    assert.equal(memory.note, 'limit 2.00 GiB');
    assert.match(memory.name, /^Memory \(RSS\): last .* highest [\d.]+ [MG]iB$/);
    assert.match((await text('Disk I/O')).values, /^read [\d.]+ MiB\/s write [\d.]+ MiB\/s$/);
    assert.match((await text('Page faults')).values, /^minor [\d.]+( k)?\/s major [\d.]+\/s$/);
    // One range for all: the one that the list of names was of.
    const histories = asked(server).filter((path) => path.includes('name='));
    assert.equal(histories.length, 9 + 2);
    for (const path of histories) assert.ok(path.includes('from=1700000000') && path.includes('to=1700003600'), path);
  },
);

pageTest(
  'a drag on any chart selects for all of them and the page; a double click leaves the range',
  { query: open },
  async (page) => {
    await painted(page);
    await drawn(page);
    await drag(page, 0.25, 0.5, '.metric:nth-child(2) .u-over');
    await page.waitForFunction(() => !location.search.includes('from=1700000000'));
    const [from, to] = [Number(params(page).get('from')), Number(params(page).get('to'))];
    assert.ok(Math.abs(from - 1700000900) < 60, `from ${from}`);
    assert.ok(Math.abs(to - 1700001800) < 60, `to ${to}`);
    await drawn(page);
    await page.dblclick('.metric:nth-child(3) .u-over');
    await page.waitForFunction(() => location.search.includes('from=1700000000'));
    await drawn(page);
    await drag(page, 0.5, 0.75, '.timeline .u-over');
    await page.waitForFunction(() => !location.search.includes('from=1700000000'));
    assert.ok(Math.abs(Number(params(page).get('from')) - 1700001800) < 60);
    // One step back, whichever chart it was: a drag is no more than one step.
    await page.goBack();
    await page.waitForFunction(() => location.search.includes('from=1700000000'));
  },
);

pageTest('while a drag lasts all charts show it', { query: open }, async (page) => {
  await painted(page);
  await drawn(page);
  const box = await page.locator('.metric:nth-child(1) .u-over').boundingBox();
  await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.6, box.y + 20, { steps: 5 });
  const shares = await page.evaluate(() =>
    [...document.querySelectorAll('.u-over')].map((over) => over.querySelector('.u-select').offsetWidth / over.offsetWidth),
  );
  assert.ok(shares.length >= 10);
  for (const share of shares) assert.ok(Math.abs(share - 0.4) < 0.03, String(shares));
  await page.mouse.move(box.x + box.width * 0.2, box.y + 20);
  await page.mouse.up();
  assert.equal(params(page).get('from'), '1700000000'); // back at its start it is no drag
});

pageTest('the mouse stands at the same time on all charts', { query: open }, async (page) => {
  await painted(page);
  await drawn(page);
  const values = () => page.locator('.metric-values').allTextContents();
  const before = await values();
  const box = await page.locator('.metric:nth-child(1) .u-over').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + 20);
  await page.waitForSelector('.readout:not([hidden])');
  const during = await values();
  during.forEach((text, at) => assert.notEqual(text, before[at], `chart ${at}`));
  assert.match(await page.textContent('.readout-time'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  await page.mouse.move(5, 5);
  await page.waitForSelector('.readout', { state: 'hidden' });
  assert.deepEqual(await values(), before);
});

pageTest('everything works by keyboard', { query: `?service=checkout-api&${range}` }, async (page) => {
  await painted(page);
  await page.keyboard.press('m');
  await drawn(page);
  assert.equal(params(page).get('metrics'), '1');
  await page.focus('.metrics-toggle');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'metric-plot');
  const value = () => page.textContent('.metric:nth-child(1) .metric-values');
  const last = await value();
  await page.keyboard.press('Home');
  const first = await value();
  assert.notEqual(first, last);
  await page.keyboard.press('ArrowRight');
  const second = await value();
  assert.notEqual(second, first);
  await page.keyboard.press('ArrowLeft');
  assert.equal(await value(), first);
  await page.waitForSelector('.readout:not([hidden])');
  await page.keyboard.press('Escape');
  assert.equal(await value(), last);
  await page.focus('.metrics-toggle');
  await page.keyboard.press('Enter');
  assert.ok(await page.locator('.metrics-body').isHidden());
  await page.keyboard.press('?');
  assert.match(await page.textContent('.help'), /Runtime metrics/);
});

pageTest('a service without metrics says so, and so does a filter that leaves none', { query: open }, async (page) => {
  await drawn(page);
  await page.goto(`${new URL(page.url()).origin}/?service=nginx&metrics=1`);
  await page.waitForSelector('.metrics-empty strong');
  assert.match(await page.textContent('.metrics-empty'), /No runtime metrics in this range.*--kinds/);
  assert.equal(await page.locator('.metric').count(), 0);
  await page.goto(`${new URL(page.url()).origin}/${open}&match=host.name%3Dweb-3`);
  await page.waitForFunction(() => /these labels/.test(document.querySelector('.metrics-empty').textContent));
});

pageTest('nothing moves while metrics load, nor when the range changes', { query: open }, async (page, server) => {
  await drawn(page); // the number of charts is known from now on
  server.delayMs = 300;
  await page.reload();
  await page.waitForSelector('.metric.skeleton');
  const top = () => page.evaluate(() => document.querySelector('#graph').getBoundingClientRect().top + scrollY);
  const before = await top();
  await drawn(page);
  assert.equal(await top(), before);
  await page.keyboard.press('[');
  const heights = new Set();
  for (let at = 0; at < 12; ++at) {
    heights.add(await top());
    await page.waitForTimeout(80);
  }
  assert.deepEqual([...heights], [before]);
});

pageTest('a collector that fails says so, and the panel recovers', { query: open, expected: /503/ }, async (page, server) => {
  await drawn(page);
  server.mode = 'broken';
  await page.keyboard.press('.');
  await page.waitForSelector('.banner:not([hidden])');
  server.mode = 'normal';
  await page.click('.banner .button');
  await page.waitForSelector('.banner', { state: 'hidden' });
  await drawn(page);
});

const pictures = process.env.SIPROF_SCREENSHOTS;
pageTest('light and dark, wide and narrow, every chart has its place and nothing sticks out', { query: open }, async (page) => {
  if (pictures) mkdirSync(pictures, { recursive: true });
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const width of [1440, 800]) {
      await page.setViewportSize({ width, height: 900 });
      await page.reload();
      await drawn(page);
      const boxes = await page.locator('.metric').evaluateAll((all) =>
        all.map((one) => {
          const { left, right, height } = one.getBoundingClientRect();
          return { left, right, height, inner: one.scrollWidth - one.clientWidth };
        }),
      );
      for (const box of boxes) {
        assert.ok(box.left >= 0 && box.right <= width, JSON.stringify(box));
        assert.equal(box.height, boxes[0].height);
        assert.ok(box.inner <= 0, JSON.stringify(box));
      }
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
      if (pictures) await page.screenshot({ path: join(pictures, `metrics-${colorScheme}-${width}.png`), fullPage: true });
    }
  }
});
