// SPDX-License-Identifier: Apache-2.0
// From answers to what is shown: the chart's columns, the table's rows, the selection; requests that overlap.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Series, Service, TopFunction } from '../../collector/web/src/api.ts';
import { Feed } from '../../collector/web/src/feed.ts';
import { makePattern, noPattern } from '../../collector/web/src/flame/search.ts';
import { completed, resolveSelection } from '../../collector/web/src/selection.ts';
import { defaults } from '../../collector/web/src/state.ts';
import { chartColumns, lonePoints } from '../../collector/web/src/timeline_data.ts';
import { isNew, topRows, trendOf } from '../../collector/web/src/top_rows.ts';
import { axisFor } from '../../collector/web/src/units.ts';

const row = (name: string, self: number, total: number, before: number | null): TopFunction => ({
  name,
  file: '',
  self,
  total,
  self_share: self / 100,
  total_share: total / 100,
  before: before === null ? null : { self_share: before / 100, total_share: before / 100 },
});
const rows = [row('b', 30, 90, 5), row('a', 50, 50, 60), row('c', 20, 20, 0), row('d', 0, 100, null)];

test('the table sorts by each column both ways', () => {
  const names = (...args: Parameters<typeof topRows>) =>
    topRows(...args)
      .map(({ name }) => name)
      .join('');
  assert.equal(names(rows, noPattern, false, 'self', true), 'abcd');
  assert.equal(names(rows, noPattern, false, 'self', false), 'dcba');
  assert.equal(names(rows, noPattern, false, 'total', true), 'dbac');
  assert.equal(names(rows, noPattern, false, 'name', false), 'abcd');
  assert.equal(names(rows, noPattern, false, 'trend', true), 'bcad');
});

test('a search filters the table, a whole name in quotes leaves it', () => {
  assert.equal(topRows(rows, makePattern('A', false), true, 'self', true).length, 1);
  assert.equal(topRows(rows, makePattern('"a"', false), true, 'self', true).length, 4);
});

test('a trend is the change of the self share, and a function without a past is new', () => {
  assert.equal(trendOf(rows[3]), null);
  assert.ok(Math.abs((trendOf(rows[0]) ?? 0) - 0.25) < 1e-9);
  assert.ok(isNew(rows[2]));
  assert.ok(!isNew(rows[3]));
});

const series = (from: number, to: number, values: (number | null)[]): Series => ({
  service: 's',
  kind: 'cpu',
  type: 'cpu',
  unit: 'nanoseconds',
  from,
  to,
  step: 60,
  times: values.map((_, at) => 960 + at * 60),
  series: [{ label: '', total: 0, values }],
});

test('a step that is not over yet is left out, a gap stays a gap', () => {
  const [times, cores] = chartColumns(series(960, 1160, [60e9, null, 120e9, 1e9]), axisFor('cpu', 'nanoseconds'));
  assert.deepEqual(times, [960, 1020, 1080]);
  assert.deepEqual(cores, [1, null, 2]);
});

test('between two steps with errors, waits or moved bytes there were none; before and after nothing is known', () => {
  const errors = { ...series(960, 1260, [null, 5, null, 10, null]), type: 'exceptions', unit: 'count' };
  const [, perMinute] = chartColumns(errors, axisFor('exceptions', 'count'));
  assert.deepEqual(perMinute, [null, 5, 0, 10, null]);
  const live = { ...series(960, 1260, [1, null, 1, 1, 1]), type: 'inuse_space', unit: 'bytes' };
  assert.deepEqual(chartColumns(live, axisFor('inuse_space', 'bytes'))[1], [1, null, 1, 1, 1]);
});

test('a step that is not over yet is shown when it is the first with anything', () => {
  const [times, cores] = chartColumns(series(960, 1160, [null, null, null, 30e9]), axisFor('cpu', 'nanoseconds'));
  assert.deepEqual(times, [960, 1020, 1080, 1140]);
  assert.deepEqual(cores, [null, null, null, 1.5]);
});

test('a first step that the range cuts is scaled to what it covers', () => {
  const [, cores] = chartColumns(series(1000, 1140, [20e9, 60e9, 60e9]), axisFor('cpu', 'nanoseconds'));
  assert.deepEqual(cores, [1, 1, 1]);
});

test('a value is a dot when there is none beside it', () => {
  assert.deepEqual(lonePoints([1]), [0]);
  assert.deepEqual(lonePoints([0, null, 2, 3, null, 4, undefined]), [0, 5]);
  assert.deepEqual(lonePoints([]), []);
});

const service = (name: string, last: number, kinds: string[]): Service => ({
  service: name,
  first: 0,
  last,
  versions: [],
  hosts: [],
  kinds: kinds.map((kind) => ({
    kind,
    default_type: 'cpu',
    types: [
      { type: 'samples', unit: 'count' },
      { type: 'cpu', unit: 'nanoseconds' },
    ],
  })),
});

test('without a service in the link the latest one is shown, with its first kind', () => {
  const chosen = resolveSelection({ ...defaults }, [service('old', 1, ['cpu']), service('new', 2, ['io', 'cpu'])]);
  assert.equal(chosen?.service.service, 'new');
  assert.equal(chosen?.kind.kind, 'cpu');
  assert.equal(chosen?.unit, 'nanoseconds');
});

test('a service that has sent runtime metrics alone is shown only where it is asked for or nothing else is there', () => {
  const quiet = service('quiet', 9, []); // sends runtime metrics alone
  assert.equal(resolveSelection({ ...defaults }, [quiet, service('a', 1, ['cpu'])])?.service.service, 'a');
  assert.equal(resolveSelection({ ...defaults }, [service('a', 1, ['cpu']), quiet])?.service.service, 'a');
  assert.equal(resolveSelection({ ...defaults }, [quiet])?.kind.kind, 'cpu');
  assert.equal(resolveSelection({ ...defaults, service: 'quiet' }, [quiet, service('a', 1, ['cpu'])])?.type, 'cpu');
});

test('a service that is not known is not replaced by another', () => {
  assert.equal(resolveSelection({ ...defaults, service: 'gone' }, [service('a', 1, ['cpu'])]), undefined);
});

test('a type that the kind lacks becomes its default', () => {
  const chosen = resolveSelection({ ...defaults, kind: 'cpu', type: 'delay' }, [service('a', 1, ['cpu'])]);
  assert.ok(chosen);
  assert.equal(completed({ ...defaults }, chosen).type, 'cpu');
});

test('an answer that a newer request overtook is dropped', async () => {
  let arrived = 0;
  const feed = new Feed<string>(() => {
    ++arrived;
  });
  let answerOld: (text: string) => void = () => {};
  const old = feed.load(
    'old',
    false,
    () =>
      new Promise((resolve) => {
        answerOld = resolve;
      }),
  );
  await feed.load('new', false, async () => 'new');
  answerOld('old');
  await old;
  assert.equal(feed.data, 'new');
  assert.equal(arrived, 1);
});

test('the same question is not asked twice, unless it failed', async () => {
  let asked = 0;
  const feed = new Feed<number>(() => {});
  const ask = async () => {
    if (++asked === 1) throw new Error('away');
    return asked;
  };
  await assert.rejects(feed.load('k', false, ask), /away/);
  await feed.load('k', false, ask);
  await feed.load('k', false, ask);
  assert.equal(asked, 2);
  await feed.load('k', true, ask);
  assert.equal(feed.data, 3);
});
