// SPDX-License-Identifier: Apache-2.0
// What the page does when things aren't as they should be: no token, no data, errors, hostile names; themes and sizes.
import assert from 'node:assert/strict';
import { pageTest, painted, params, pixel, setUp } from './harness.mjs';

setUp();
const refused = /Failed to load resource/;

pageTest(
  'a collector that wants a token gets one from the form, a wrong one is refused',
  { token: 'right', expected: refused },
  async (page) => {
    await page.waitForSelector('input[type=password]');
    await page.fill('input[type=password]', 'wrong');
    await page.click('.login button');
    await page.waitForSelector('.login .complaint:not([hidden])');
    assert.match(await page.textContent('.login .complaint'), /does not know this token/);
    await page.fill('input[type=password]', 'right');
    await page.click('.login button');
    await painted(page);
  },
);

pageTest(
  'an empty store tells how to start, and the first service appears by itself',
  {
    mode: 'empty',
    prepare: (page) => page.clock.install(),
  },
  async (page, server) => {
    await page.waitForSelector('.command');
    assert.match(await page.textContent('.page-notice'), /LD_PRELOAD=\S+libsiprof\.so \.\/app/);
    server.mode = 'normal';
    await page.clock.runFor(5_500);
    await painted(page);
  },
);

pageTest(
  'an error shows the API’s own message, and trying again clears it',
  { query: '?service=checkout-api', mode: 'broken', expected: refused },
  async (page, server) => {
    await page.waitForSelector('.banner:not([hidden])');
    assert.match(await page.textContent('.banner-text'), /the store is being repaired; try again in a minute/);
    server.mode = 'normal';
    await page.click('.banner .button');
    await painted(page);
    await page.waitForSelector('.banner', { state: 'hidden' });
  },
);

pageTest(
  'a collector that has gone away is named as such',
  { query: '?service=checkout-api', expected: refused },
  async (page) => {
    await painted(page);
    await page.route('**/api/**', (route) => route.abort());
    await page.keyboard.press('.');
    await page.waitForSelector('.banner:not([hidden])');
    assert.match(await page.textContent('.banner-text'), /does not answer/);
  },
);

pageTest(
  'an answer that breaks off is a collector that does not answer',
  { query: '?service=checkout-api', mode: 'cut', expected: refused },
  async (page, server) => {
    await page.waitForSelector('.banner:not([hidden])');
    assert.match(await page.textContent('.banner-text'), /does not answer/);
    server.mode = 'normal';
    await page.click('.banner .button');
    await painted(page);
  },
);

pageTest('a service that is unknown is not silently another one', { query: '?service=gone' }, async (page) => {
  await page.waitForSelector('.page-notice .notice');
  assert.match(await page.textContent('.page-notice'), /nothing of “gone”/);
  await page.click('.page-notice .primary');
  await painted(page);
});

pageTest(
  'a range without data offers the way out',
  { query: '?service=checkout-api&match=host.name%3Dweb-3' },
  async (page) => {
    await page.waitForSelector('.graph .notice');
    assert.match(await page.textContent('.graph .notice'), /No profile in this range has these labels/);
    await page.click('.graph .notice .primary');
    await painted(page);
    assert.deepEqual(params(page).getAll('match'), []);
  },
);

pageTest(
  'names from programs are text, whatever they hold',
  { query: '?service=checkout-api&q=img', mode: 'hostile' },
  async (page) => {
    await painted(page);
    await page.waitForSelector('.function');
    const box = await page.locator('.flame-canvas').boundingBox();
    await page.mouse.move(box.x + 20, box.y + 30);
    await page.waitForSelector('.tooltip:not([hidden])');
    await page.mouse.click(box.x + 20, box.y + 30);
    await page.waitForSelector('.breadcrumb:not([hidden])');
    assert.match(await page.textContent('.function'), /<img src=x onerror="document\.title='owned'">/);
    assert.equal(await page.locator('img, script:not([src])').count(), 0);
    await page.waitForTimeout(200);
    assert.ok(!(await page.title()).includes('owned'));
  },
);

pageTest(
  'hostile text in the URL is text, too',
  { query: `?service=${encodeURIComponent('<img src=x onerror=alert(1)>')}&q=${encodeURIComponent('"><script>')}` },
  async (page) => {
    await page.waitForSelector('.page-notice .notice');
    assert.match(await page.textContent('.page-notice'), /<img src=x onerror=alert\(1\)>/);
    assert.equal(await page.locator('img').count(), 0);
  },
);

pageTest(
  'the theme follows the system, the toggle overrides it and is remembered',
  {
    query: '?service=checkout-api',
    prepare: (page) => page.emulateMedia({ colorScheme: 'dark' }),
  },
  async (page) => {
    await painted(page);
    const corner = async () => {
      const box = await page.locator('.flame-canvas').boundingBox();
      return pixel(page, { x: box.x + 3, y: box.y + box.height - 3 });
    };
    assert.equal(await corner(), '#12151b');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.waitForTimeout(200);
    assert.equal(await corner(), '#ffffff');
    await page.keyboard.press('t');
    await page.waitForTimeout(200);
    assert.equal(await corner(), '#12151b');
    await page.reload();
    await painted(page);
    assert.equal(await page.getAttribute('html', 'data-theme'), 'dark');
    await page.evaluate(() => localStorage.clear());
  },
);

pageTest(
  'nothing sticks out of a small laptop’s window',
  {
    query: '?service=checkout-api&match=host.name%3Dweb-1&by=host.name&q=sql',
    prepare: (page) => page.setViewportSize({ width: 1000, height: 760 }),
  },
  async (page) => {
    await painted(page);
    for (const button of ['.service-picker button', '.time-picker button', '.add-filter button', '.group-by button']) {
      await page.click(button);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 1000, `${button}: ${width}`);
      await page.keyboard.press('Escape');
    }
  },
);

pageTest(
  'every control has a name and can be reached by keyboard',
  { query: '?service=checkout-api&q=sql' },
  async (page) => {
    await painted(page);
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, input, select, a[href], canvas[role]')]
        .filter(
          (one) =>
            !(one.getAttribute('aria-label') || one.textContent.trim() || one.labels?.length) || one.tabIndex < 0,
        )
        .map((one) => one.outerHTML.slice(0, 120)),
    );
    assert.deepEqual(nameless, []);
  },
);

pageTest(
  'a slow answer leaves the old one in sight and shows a progress line',
  { query: '?service=checkout-api&from=1700000000&to=1700003600' },
  async (page, server) => {
    await painted(page);
    server.delayMs = 900;
    await page.click('.segment:has-text("Locks")');
    await page.waitForSelector('.progress:not([hidden])');
    assert.ok((await page.locator('.function').count()) > 5);
    await page.waitForSelector('.progress', { state: 'hidden' });
  },
);
