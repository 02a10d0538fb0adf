// SPDX-License-Identifier: Apache-2.0
// Which charts runtime metrics make, what is drawn in them, and how their numbers read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Metric, MetricHistory } from '../../collector/web/src/api.ts';
import { highest, isNear, lastValue, lineColumns, peakColumn } from '../../collector/web/src/metrics/columns.ts';
import { makeSpecs, metricStep, mostCharts } from '../../collector/web/src/metrics/specs.ts';
import { metricAxis } from '../../collector/web/src/units.ts';

const gauge = (name: string, unit: string): Metric => ({ name, unit, type: 'gauge' });
const counter = (name: string, unit: string): Metric => ({ name, unit, type: 'counter' });
const history = (metric: Metric, series: MetricHistory['series']): MetricHistory => ({
  ...metric,
  service: 'x',
  from: 0,
  to: 30,
  step: 10,
  times: [0, 10, 20],
  series,
});

test('charts come in one order, whatever the collector’s is, and unknown metrics behind', () => {
  const specs = makeSpecs([
    gauge('a.queue', '{job}'),
    counter('process.disk.io', 'By'),
    gauge('process.thread.count', '{thread}'),
    gauge('process.memory.virtual', 'By'),
    gauge('process.memory.usage', 'By'),
    gauge('container.memory.limit', 'By'),
    counter('process.cpu.time', 's'),
    gauge('process.cpu.utilization', '1'),
  ]);
  assert.deepEqual(
    specs.map(({ title, by, limit }) => [title, by, limit?.name ?? '']),
    [
      ['CPU utilization', 'cpu.mode', ''],
      ['Memory (RSS)', '', 'container.memory.limit'],
      ['Threads', '', ''],
      ['Disk I/O', 'disk.io.direction', ''],
      ['a.queue', '', ''],
    ],
  );
  assert.equal(specs[0].metric.name, 'process.cpu.time');
});

test('an interpreter’s metrics are split by generation', () => {
  const specs = makeSpecs([
    gauge('cpython.modules', '{module}'),
    counter('cpython.gc.pause', 's'),
    counter('cpython.gc.collections', '{collection}'),
  ]);
  assert.deepEqual(
    specs.map(({ title, by }) => [title, by]),
    [
      ['GC runs', 'cpython.gc.generation'],
      ['Time in GC', 'cpython.gc.generation'],
      ['Modules loaded', ''],
    ],
  );
});

test('a limit is drawn only on the scale that it has', () => {
  const limit = gauge('container.cpu.limit', '{cpu}');
  assert.equal(makeSpecs([limit, counter('process.cpu.time', 's')])[0].limit?.name, 'container.cpu.limit');
  assert.equal(makeSpecs([limit, gauge('process.cpu.utilization', '1')])[0].limit, null);
  assert.deepEqual(makeSpecs([limit]), []);
  assert.equal(isNear(100, 25), true);
  assert.equal(isNear(100, 24), false);
});

test('however many metrics there are, charts are bounded', () => {
  const many = Array.from({ length: 100 }, (_, at) => gauge(`m${at}`, '1'));
  assert.equal(makeSpecs(many).length, mostCharts);
  assert.deepEqual(makeSpecs([]), []);
});

test('a counter is drawn as its rate, a gauge as its mean with the peak beside it', () => {
  const faults = history(counter('f', '{fault}'), [
    { label: 'minor', total: 60, values: [10, null, 50], rate: [1, null, 5] },
  ]);
  assert.deepEqual(lineColumns(faults, metricAxis(faults)), [[1, null, 5]]);
  assert.equal(peakColumn(faults, metricAxis(faults)), null);
  const share = history(gauge('cpu.utilization', '1'), [
    { label: '', total: 1, values: [0.5, null, 1], max: [0.75, null, 1] },
  ]);
  assert.deepEqual(lineColumns(share, metricAxis(share)), [[50, null, 100]]);
  assert.deepEqual(peakColumn(share, metricAxis(share)), [75, null, 100]);
  const flat = history(gauge('m', 'By'), [{ label: '', total: 1, values: [5, null, 5], max: [5, null, 5] }]);
  assert.equal(peakColumn(flat, metricAxis(flat)), null);
  const two = history(gauge('m', 'By'), [
    { label: 'a', total: 1, values: [1, 1, 1], max: [2, 2, 2] },
    { label: 'b', total: 1, values: [1, 1, 1], max: [2, 2, 2] },
  ]);
  assert.equal(peakColumn(two, metricAxis(two)), null);
});

test('the last value is the last one that there is, and an empty chart has none', () => {
  assert.equal(lastValue([1, 2, null]), 2);
  assert.equal(lastValue([0, null]), 0);
  assert.equal(lastValue([null, null]), null);
  assert.equal(lastValue([]), null);
  assert.equal(highest([[1, null], [7, 3]]), 7);
  assert.equal(highest([]), 0);
});

test('units read as people write them', () => {
  const reads = (metric: Metric, value: number) => {
    const axis = metricAxis(metric);
    return axis.format(value * axis.scale);
  };
  assert.equal(reads(counter('process.cpu.time', 's'), 1.5), '1.5 cores');
  assert.equal(reads(counter('process.cpu.time', 's'), 1), '1 core');
  assert.equal(reads(gauge('process.cpu.utilization', '1'), 0.375), '37.5 %');
  assert.equal(reads(gauge('container.cpu.limit', '{cpu}'), 2), '2 cores');
  assert.equal(reads(gauge('process.memory.usage', 'By'), 3 * 2 ** 20), '3.00 MiB');
  assert.equal(reads(counter('process.disk.io', 'By'), 2048), '2.00 KiB/s');
  assert.equal(reads(gauge('process.thread.count', '{thread}'), 12), '12');
  assert.equal(reads(counter('process.paging.faults', '{fault}'), 1500), '1.50 k/s');
  assert.equal(reads(counter('cpython.gc.pause', 's'), 0.02), '20.0 ms/s');
  assert.equal(reads(gauge('some.age', 's'), 90), '1.50 min');
  assert.equal(reads(gauge('ratio', '1'), 0.25), '0.25');
  for (const unit of ['By', 's', '1', '{cpu}']) assert.equal(reads(gauge('x', unit), 0), '0');
});

test('steps are whole windows, and few enough for a small chart', () => {
  assert.equal(metricStep({ from: 0, to: 300 }), 10);
  assert.equal(metricStep({ from: 0, to: 3600 }), 30);
  assert.equal(metricStep({ from: 0, to: 7 * 86400 }) % 10, 0);
  assert.ok((7 * 86400) / metricStep({ from: 0, to: 7 * 86400 }) <= 150);
});
