// SPDX-License-Identifier: Apache-2.0
// The answer of /api/v1/series as the chart's columns. Pure.
import type { Series } from './api.ts';
import { isEvents, type Axis } from './units.ts';

// A profile covers about this long, so a step that the range cuts shorter still holds that much.
const profileSeconds = 10;

// How much of a step the range covers: the first would read low (or, cut to nothing, high) otherwise.
export function coveredSeconds(start: number, { from, to, step }: Pick<Series, 'from' | 'to' | 'step'>): number {
  const covered = Math.min(start + step, to) - Math.max(start, from);
  return Math.max(Math.min(step, profileSeconds), covered);
}

// Without a last step that isn't over yet: half its profiles are still on their way, which looks like a drop.
// But when it is all there is.
function completeSteps({ times, step, to, series }: Series): number {
  const over = times.filter((start) => start + step <= to).length;
  const shown = series.some(({ values }) => values.slice(0, over).some((value) => value !== null));
  return shown && over >= 2 ? over : times.length;
}

// Zero where nothing was recorded between two steps where something was.
function withoutGaps(values: (number | null)[]): (number | null)[] {
  const first = values.findIndex((value) => value !== null);
  const last = values.length - 1 - [...values].reverse().findIndex((value) => value !== null);
  return values.map((value, at) => (value === null && at > first && at < last ? 0 : value));
}

export function chartColumns(series: Series, axis: Axis): [number[], ...(number | null)[][]] {
  const times = series.times.slice(0, completeSteps(series));
  const seconds = times.map((start) => coveredSeconds(start, series));
  const columns = series.series.map(({ values }) => {
    const known = isEvents(series.type) ? withoutGaps(values) : values;
    return times.map((_, at) => {
      const value = known[at] ?? null;
      return value === null ? null : axis.value(value, seconds[at]);
    });
  });
  return [times, ...columns];
}

// Where values have none beside them.
export function lonePoints(values: ArrayLike<number | null | undefined>): number[] {
  const lone = [];
  for (let at = 0; at < values.length; ++at) {
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) lone.push(at);
  }
  return lone;
}
