// SPDX-License-Identifier: Apache-2.0
// Numbers as people say them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { axisFor, digits, formatPoints, formatShare, formatValue, isLevel } from '../../collector/web/src/units.ts';

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

test('time waited reads as time per second, waits and errors by their number', () => {
  const delay = axisFor('delay', 'nanoseconds');
  assert.equal(delay.format(delay.value(3.5e9, 10)) + delay.suffix, '350 ms/s');
  assert.equal(delay.format(0), '0');
  assert.equal(delay.format(delay.value(24e9, 10)) + delay.suffix, '2.40 s/s');
  const waits = axisFor('contentions', 'count');
  assert.equal(waits.format(waits.value(15_000, 10)) + waits.suffix, '1.50 k/s');
  const errors = axisFor('exceptions', 'count');
  assert.equal(errors.name, 'per minute');
  assert.equal(errors.format(errors.value(2, 60)) + errors.suffix, '2/min');
  assert.equal(errors.format(errors.value(1, 10)) + errors.suffix, '6/min');
});

test('moved bytes are a rate, live objects a level that time does not divide', () => {
  const moved = axisFor('bytes', 'bytes');
  assert.equal(moved.format(moved.value(512 * 1024 * 10, 10)) + moved.suffix, '512 KiB/s');
  const live = axisFor('inuse_objects', 'count');
  assert.equal(live.format(live.value(1234, 10)) + live.suffix, '1.23 k');
  assert.equal(live.name, '');
  const allocations = axisFor('alloc_objects', 'count');
  assert.equal(allocations.format(allocations.value(1000, 10)) + allocations.suffix, '100/s');
  assert.ok(isLevel('inuse_space') && !isLevel('alloc_space'));
});

test('wall time over a step reads as threads', () => {
  const axis = axisFor('wall', 'nanoseconds');
  assert.equal(axis.format(axis.value(40e9, 10)) + axis.suffix, '4 threads');
});

test('axis numbers have neither exponent nor trailing zeros', () => {
  assert.equal(digits(0.5), '0.5');
  assert.equal(digits(100), '100');
  assert.equal(digits(2), '2');
  assert.equal(digits(0.003), '0.003');
});
