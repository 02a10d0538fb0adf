// SPDX-License-Identifier: Apache-2.0
// Which functions the top table shows and in what order. Pure.
import type { TopFunction } from './api.ts';
import type { Pattern } from './flame/search.ts';
import type { SortColumn } from './state.ts';

// The change of the self share against the range before, in shares; null when nothing was recorded then.
export function trendOf(row: TopFunction): number | null {
  return row.before ? row.self_share - row.before.self_share : null;
}

export function isNew(row: TopFunction): boolean {
  return row.before !== null && row.before.total_share === 0 && row.total_share > 0;
}

const compare: Record<SortColumn, (a: TopFunction, b: TopFunction) => number> = {
  name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  self: (a, b) => a.self - b.self,
  total: (a, b) => a.total - b.total,
  trend: (a, b) => (trendOf(a) ?? -Infinity) - (trendOf(b) ?? -Infinity) || a.self - b.self,
};

// A whole name in quotes only highlights: the table stays for comparing and for the next click.
export function topRows(
  rows: TopFunction[],
  pattern: Pattern,
  searching: boolean,
  sort: SortColumn,
  descending: boolean,
): TopFunction[] {
  const kept = searching && !pattern.exact ? rows.filter(({ name }) => pattern.test(name)) : [...rows];
  const direction = descending ? -1 : 1;
  return kept.sort((a, b) => direction * compare[sort](a, b) || compare.name(a, b));
}
