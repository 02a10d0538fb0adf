// SPDX-License-Identifier: Apache-2.0
// What the browser tests share: a server, a browser, a page for each test that must end without an error on
// its console and without a request to another host. Usage of a test file: node FILE WEB_MANIFEST.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, skipWithoutBrowser } from './browser.mjs';
import { startServer } from './mock_server.mjs';

export const rowHeight = 21; // of collector/web/src/flame/draw.ts

let server;
let browser;

export function setUp() {
  skipWithoutBrowser();
  before(async () => {
    server = await startServer(process.argv[2]);
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });
}

// `expected` matches what the test provokes on the console; everything else there fails it.
export function pageTest(
  name,
  { query = '', mode = 'normal', token = '', expected = /^$/, prepare = async () => {} },
  body,
) {
  test(name, async () => {
    Object.assign(server, { mode, token, delayMs: 0, requests: [] });
    const page = await browser.context.newPage();
    const troubles = [];
    page.on('console', (message) => {
      if (message.type() === 'error' && !expected.test(message.text())) troubles.push(message.text());
    });
    page.on('pageerror', (error) => troubles.push(String(error.stack)));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.url)) troubles.push(`request to ${request.url()}`);
    });
    page.setDefaultTimeout(15_000);
    try {
      await browser.context.clearCookies();
      await prepare(page);
      await page.goto(`${server.url}/${query}`);
      await body(page, server);
      assert.deepEqual(troubles, []);
    } finally {
      await page.close();
    }
  });
}

export const params = (page) => new URL(page.url()).searchParams;

// Until the flame graph has been painted from an answer.
export function painted(page) {
  return page.waitForFunction(() => document.querySelector('.flame-canvas')?.dataset.boxes > 0);
}

export async function askFlame(page, search = '') {
  return page.evaluate(
    async (query) => (await fetch(`api/v1/flame?${query}`)).json(),
    search || 'service=checkout-api&kind=cpu&type=cpu',
  );
}

// Where a function's first box is, worked out from the answer alone: {x, y} of its middle in the window.
export async function boxOf(page, graph, name, zoomed = '') {
  const { parent, total } = graph.nodes;
  const start = [0];
  const next = [0];
  const row = [0];
  for (let node = 1; node < parent.length; ++node) {
    start[node] = next[parent[node]];
    next[node] = start[node];
    next[parent[node]] += total[node];
    row[node] = row[parent[node]] + 1;
  }
  const find = (text) => graph.nodes.name.findIndex((at) => graph.names[at] === text);
  const node = find(name);
  const root = zoomed ? find(zoomed) : 0;
  const box = await page.locator('.flame-canvas').boundingBox();
  const middle = (start[node] - start[root] + total[node] / 2) / total[root];
  return { x: box.x + middle * box.width, y: box.y + (row[node] + 0.5) * rowHeight };
}

// The colour of the canvas at a point of the window.
export function pixel(page, { x, y }) {
  return page.evaluate(
    ([left, top]) => {
      const canvas = document.querySelector('.flame-canvas');
      const box = canvas.getBoundingClientRect();
      const ratio = canvas.width / box.width;
      const [r, g, b] = canvas.getContext('2d').getImageData((left - box.x) * ratio, (top - box.y) * ratio, 1, 1).data;
      return `#${[r, g, b].map((part) => part.toString(16).padStart(2, '0')).join('')}`;
    },
    [x, y],
  );
}

export async function drag(page, fromShare, toShare, chart = '.timeline .u-over') {
  const box = await page.locator(chart).boundingBox();
  const at = (share) => [box.x + box.width * share, box.y + box.height / 2];
  await page.mouse.move(...at(fromShare));
  await page.mouse.down();
  await page.mouse.move(...at((fromShare + toShare) / 2), { steps: 4 });
  await page.mouse.move(...at(toShare), { steps: 4 });
  await page.mouse.up();
}
