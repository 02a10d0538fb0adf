// SPDX-License-Identifier: Apache-2.0
// How a profile was collected, in words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allCounters, collectionFacts, lost } from '../../collector/web/src/collection.ts';

const texts = (kind: string, counters: Record<string, number>) =>
  collectionFacts(kind, counters).map(({ text, warn }) => (warn ? `! ${text}` : text));

test('each kind has its rate in force', () => {
  assert.deepEqual(texts('cpu', { sampling_hz: 100 }), ['100 Hz']);
  assert.deepEqual(texts('heap', { heap_interval_bytes: 524288 }), ['every 512 KiB']);
  assert.deepEqual(texts('heap', { heap_interval_bytes: 1 }), ['every allocation']);
  assert.deepEqual(texts('lock', { block_interval_ns: 1_000_000 }), ['stacks every 1.00 ms']);
  assert.deepEqual(texts('errors', {}), []);
});

test('what siprof costs is shown, and marked when it is more than it may', () => {
  assert.deepEqual(texts('cpu', { cost_permille: 3, budget_permille: 10 }), ['siprof cost 0.3 %']);
  assert.deepEqual(texts('cpu', { cost_permille: 13, budget_permille: 10 }), ['! siprof cost 1.3 %']);
  assert.deepEqual(texts('cpu', { cost_permille: 13 }), ['siprof cost 1.3 %']);
  assert.deepEqual(texts('cpu', { cost_permille: 0, budget_permille: 10 }), ['siprof cost 0 %']);
});

test('losses are added up and marked; other counters are none', () => {
  const counters = { lost_pool_full: 3, lost_reentry: 4, aggregate_dropped: 5, samples: 100, stack_cut: 9 };
  assert.equal(lost(counters), 12);
  assert.deepEqual(texts('cpu', counters), ['! 12 lost']);
  assert.deepEqual(texts('cpu', { samples: 7, lost_pool_full: 0 }), []);
  // Other kinds' samples, which the next ones stand for.
  assert.deepEqual(texts('cpu', { lost_events_pool_full: 5, lost_events_unattached: 2 }), []);
});

test('all counters are listed by name', () => {
  assert.equal(allCounters({ ticks: 2, samples: 1 }), 'samples = 1\nticks = 2');
});
