// SPDX-License-Identifier: Apache-2.0
// How what is shown was collected, from its profiles' counters: the rate in force, what siprof cost, what was
// lost. Pure.
import { digits, formatValue } from './units.ts';

export type Counters = Record<string, number>;

// One line of a list that a tooltip shows.
export interface Fact {
  text: string;
  warn: boolean; // what is shown isn't all there was
}

function rate(kind: string, counters: Counters): string {
  if (kind === 'cpu' && counters.sampling_hz) return `${digits(counters.sampling_hz)} Hz`;
  if (kind === 'heap' && counters.heap_interval_bytes)
    return counters.heap_interval_bytes === 1 ? 'every allocation' : `every ${formatValue(counters.heap_interval_bytes, 'bytes')}`;
  if ((kind === 'lock' || kind === 'io') && counters.block_interval_ns)
    return `stacks every ${formatValue(counters.block_interval_ns, 'nanoseconds')}`;
  if (kind === 'errors' && counters.error_interval > 1)
    return `up to ${formatValue(Math.max(20, 10_000 / counters.error_interval), 'count')} stacks a second`;
  return '';
}

// Counters whose name starts with one of these are samples that aren't there. lost_events_* of all other kinds are
// with the process's first kind; the next ones stand for most of them.
const losses = ['lost_', 'aggregate_dropped', 'samples_unfinished', 'profiles_lost', 'heap_live_dropped'];

export function lost(counters: Counters): number {
  return Object.entries(counters)
    .filter(([name]) => losses.some((prefix) => name.startsWith(prefix)) && !name.startsWith('lost_events_'))
    .reduce((sum, [, value]) => sum + value, 0);
}

export function collectionFacts(kind: string, counters: Counters): Fact[] {
  const facts: Fact[] = [];
  const inForce = rate(kind, counters);
  if (inForce) facts.push({ text: inForce, warn: false });
  if (counters.cost_permille !== undefined) {
    const percent = digits(counters.cost_permille / 10);
    const over = counters.budget_permille !== undefined && counters.cost_permille > counters.budget_permille;
    facts.push({ text: `siprof cost ${percent} %`, warn: over });
  }
  const gone = lost(counters);
  if (gone > 0) facts.push({ text: `${formatValue(gone, 'count')} lost`, warn: true });
  return facts;
}

// All of them, by name, for who wants to know.
export function allCounters(counters: Counters): string {
  return Object.entries(counters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name} = ${value}`)
    .join('\n');
}
