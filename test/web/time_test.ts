// SPDX-License-Identifier: Apache-2.0
// What people and links write as a time, and ranges around one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatMoment,
  formatTicks,
  parseTime,
  rangeName,
  resolveRange,
  shiftRange,
  widenRange,
} from '../../collector/web/src/time.ts';

const now = 1_700_000_000;

test('now, relative times and unix seconds are read', () => {
  assert.equal(parseTime('now', now), now);
  assert.equal(parseTime('now-15m', now), now - 900);
  assert.equal(parseTime(' now-7d ', now), now - 7 * 86400);
  assert.equal(parseTime('1700000123', now), 1_700_000_123);
});

test('a date with a zone is that moment, without one it is local time', () => {
  assert.equal(parseTime('2023-11-14T22:13:20Z', 0), now);
  assert.equal(parseTime('2023-11-14T23:13:20+01:00', 0), now);
  assert.equal(parseTime('2023-11-14 22:13', 0), new Date(2023, 10, 14, 22, 13).getTime() / 1000);
  assert.equal(parseTime('2023-11-14', 0), new Date(2023, 10, 14).getTime() / 1000);
});

test('what is no time is refused', () => {
  for (const text of ['', 'soon', 'now+5m', 'now-5y', '2023-13-40', '12', '2023-11-14T25:00']) {
    assert.equal(parseTime(text, now), undefined, text);
  }
});

test('what is shown can be typed back in', () => {
  assert.equal(parseTime(formatMoment(now), 0), now);
});

test('presets have names, other ranges their ends', () => {
  assert.equal(rangeName({ from: 'now-15m', to: 'now' }), 'Last 15 minutes');
  assert.equal(rangeName({ from: 'now-3h', to: 'now' }), 'Last 3 hours');
  assert.equal(rangeName({ from: 'now-1d', to: 'now' }), 'Last 1 day');
  assert.equal(rangeName({ from: 'now-3h', to: 'now-1h' }), 'now-3h – now-1h');
  const sameDay = rangeName({
    from: String(parseTime('2023-11-14 10:00', 0)),
    to: String(parseTime('2023-11-14 11:30', 0)),
  });
  assert.equal(sameDay, '2023-11-14 10:00:00 – 11:30:00');
});

test('stepping back moves by half the range and keeps its length', () => {
  assert.deepEqual(shiftRange({ from: 'now-1h', to: 'now' }, -1, now), {
    from: String(now - 5400),
    to: String(now - 1800),
  });
});

test('neither stepping on nor widening goes beyond now', () => {
  assert.deepEqual(shiftRange({ from: String(now - 3600), to: String(now) }, 1, now), {
    from: String(now - 3600),
    to: String(now),
  });
  assert.deepEqual(widenRange({ from: String(now - 60), to: String(now) }, now), {
    from: String(now - 120),
    to: String(now),
  });
});

test('a range of nonsense becomes the last hour', () => {
  assert.deepEqual(resolveRange({ from: 'x', to: 'y' }, now), { from: now - 3600, to: now });
});

test('the ticks of an axis are as fine as they lie apart, and no two have the same name', () => {
  const noon = new Date(2023, 10, 14, 12, 0).getTime() / 1000;
  const ticks = (apart: number, count: number) =>
    formatTicks(Array.from({ length: count }, (_, at) => noon + at * apart));
  assert.deepEqual(ticks(15, 3), ['12:00:00', '12:00:15', '12:00:30']);
  assert.deepEqual(ticks(300, 3), ['12:00', '12:05', '12:10']);
  assert.deepEqual(ticks(6 * 3600, 6), ['12:00', '18:00', '11-15', '06:00', '12:00', '18:00']);
  assert.deepEqual(ticks(86400, 3), ['11-14', '11-15', '11-16']);
  assert.deepEqual(formatTicks([]), []);
});
