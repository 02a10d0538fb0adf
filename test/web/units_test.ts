// SPDX-License-Identifier: Apache-2.0
// Numbers as people say them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisFor, digits, formatPoints, formatShare, formatValue } from '../../collector/web/src/units.ts';

test('durations take the largest unit that fits, with three significant digits', () => {
  assert.equal(formatValue(0, 'nanoseconds'), '0 ns');
  assert.equal(formatValue(12, 'nanoseconds'), '12 ns');
  assert.equal(formatValue(1500, 'nanoseconds'), '1.50 µs');
  assert.equal(formatValue(999_900_000, 'nanoseconds'), '1.00 s');
  assert.equal(formatValue(37.46e9, 'nanoseconds'), '37.5 s');
  assert.equal(formatValue(90e9, 'nanoseconds'), '1.50 min');
  assert.equal(formatValue(5 * 3600e9, 'nanoseconds'), '5.00 h');
  assert.equal(formatValue(72 * 3600e9, 'nanoseconds'), '3.00 d');
});

test('bytes are binary, counts decimal', () => {
  assert.equal(formatValue(1023, 'bytes'), '1023 B');
  assert.equal(formatValue(4.5 * 2 ** 20, 'bytes'), '4.50 MiB');
  assert.equal(formatValue(2 ** 40, 'bytes'), '1.00 TiB');
  assert.equal(formatValue(7, 'count'), '7');
  assert.equal(formatValue(12_345, 'count'), '12.3 k');
});

test('a share that is not zero never reads as zero', () => {
  assert.equal(formatShare(0), '0.0 %');
  assert.equal(formatShare(0.0001), '<0.1 %');
  assert.equal(formatShare(0.3724), '37.2 %');
  assert.equal(formatShare(1), '100.0 %');
});

test('a change is in points and carries its sign', () => {
  assert.equal(formatPoints(0.123), '+12.3');
  assert.equal(formatPoints(-0.05), '−5.0');
  assert.equal(formatPoints(0.0001), '0.0');
});

test('CPU time over a step reads as cores', () => {
  const axis = axisFor('cpu', 'nanoseconds');
  assert.equal(axis.name, 'cores');
  assert.equal(axis.value(15e9, 10), 1.5);
  assert.equal(axis.format(1.5), '1.5');
});

test('allocated bytes are a rate, live bytes a level', () => {
  const rate = axisFor('alloc_space', 'bytes');
  assert.equal(rate.format(rate.value(10 * 2 ** 20, 10)), '1.00 MiB/s');
  const level = axisFor('inuse_space', 'bytes');
  assert.equal(level.format(level.value(10 * 2 ** 20, 10)), '10.0 MiB');
});

test('axis numbers have neither exponent nor trailing zeros', () => {
  assert.equal(digits(0.5), '0.5');
  assert.equal(digits(100), '100');
  assert.equal(digits(2), '2');
  assert.equal(digits(0.003), '0.003');
});
