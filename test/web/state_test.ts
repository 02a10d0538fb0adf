// SPDX-License-Identifier: Apache-2.0
// The URL holds the whole state.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dataKey, defaults, formatState, metricsKey, parseState, type State } from '../../collector/web/src/state.ts';

const full: State = {
  service: 'a b&c=d',
  kind: 'heap',
  type: 'inuse_space',
  from: '1700000000',
  to: 'now',
  match: ['host.name=web-1', 'host.name=web=2', 'x=ä'],
  by: 'service.version',
  view: 'flame',
  search: '^foo|"bar"\\(',
  regex: true,
  zoom: 'k3jf02',
  sort: 'trend',
  descending: false,
  live: true,
  full: true,
  metrics: true,
};

test('every part of the state survives the way into the URL and back', () => {
  assert.deepEqual(parseState(formatState(full)), full);
});

test('the default state has an empty query', () => {
  assert.equal(formatState({ ...defaults }), '');
  assert.deepEqual(parseState(''), { ...defaults });
});

test('every single change is in the URL', () => {
  for (const name of Object.keys(defaults) as (keyof State)[]) {
    // Live needs a range that ends now, which is the default.
    const changed = { ...defaults, [name]: full[name] };
    if (name === 'to') changed.to = '1700000000';
    assert.notEqual(formatState(changed), '', name);
    assert.deepEqual(parseState(formatState(changed)), changed, name);
  }
});

test('nonsense in a link becomes the default', () => {
  const state = parseState('view=cube&sort=-size&from=yesterday&to=%00&match=novalue&match==x&regex=2&live=yes');
  assert.deepEqual(state, { ...defaults });
});

test('dates in a link become unix seconds', () => {
  assert.equal(parseState('from=2023-11-14T22:13:20Z').from, '1700000000');
});

test('a range that has ended is not live', () => {
  assert.equal(parseState('live=1&to=1700000000').live, false);
});

test('what only changes the view asks for no data', () => {
  const other: State = {
    ...full,
    view: 'top',
    search: 'x',
    regex: false,
    zoom: '',
    sort: 'self',
    descending: true,
    live: false,
  };
  assert.equal(dataKey(other), dataKey(full));
  assert.notEqual(dataKey({ ...full, match: [] }), dataKey(full));
});

test('runtime metrics are asked for by service, range and labels, whatever kind is shown', () => {
  assert.equal(metricsKey({ ...full, kind: 'cpu', type: 'cpu', metrics: false }), metricsKey(full));
  for (const change of [{ service: 'x' }, { from: '1600000000' }, { to: '1800000000' }, { match: [] }])
    assert.notEqual(metricsKey({ ...full, ...change }), metricsKey(full));
});
