// SPDX-License-Identifier: Apache-2.0
// The answer of /api/v1/series as the chart's columns. Pure.
import type { Series } from './api.ts';
import type { Axis } from './units.ts';

// A profile covers about this long, so a step that the range cuts shorter still holds that much.
const profileSeconds = 10;

// How much of a step the range covers: the first and last would read low (or, cut to nothing, high) otherwise.
export function coveredSeconds(start: number, { from, to, step }: Pick<Series, 'from' | 'to' | 'step'>): number {
  const covered = Math.min(start + step, to) - Math.max(start, from);
  return Math.max(Math.min(step, profileSeconds), covered);
}

export function chartColumns(series: Series, axis: Axis): [number[], ...(number | null)[][]] {
  const seconds = series.times.map((start) => coveredSeconds(start, series));
  const columns = series.series.map(({ values }) =>
    values.map((value, at) => (value === null ? null : axis.value(value, seconds[at]))));
  return [series.times, ...columns];
}

export function isEmpty(series: Series): boolean {
  return series.series.every(({ values }) => values.every((value) => value === null));
}
