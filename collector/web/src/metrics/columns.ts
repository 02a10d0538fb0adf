// SPDX-License-Identifier: Apache-2.0
// The answer of /api/v1/metrics as a chart's columns. Pure.
import type { MetricHistory } from '../api.ts';
import type { MetricAxis } from '../units.ts';

export type Column = (number | null)[];

const scaled = (values: Column, { scale }: MetricAxis): Column =>
  values.map((value) => (value === null ? null : value * scale));

// One per line: a counter's rate, a gauge's mean.
export function lineColumns({ series }: MetricHistory, axis: MetricAxis): Column[] {
  return series.map(({ values, rate }) => scaled(rate ?? values, axis));
}

// Of a gauge with one line: the highest level of each step, where any is above what the line shows.
export function peakColumn({ series }: MetricHistory, axis: MetricAxis): Column | null {
  const [line] = series;
  if (series.length !== 1 || !line.max) return null;
  const above = line.max.some((max, at) => max !== null && max > (line.values[at] ?? 0) * 1.001);
  return above ? scaled(line.max, axis) : null;
}

// What a limit was last; a service's containers together.
export function lastValue(column: Column): number | null {
  return column.reduce((last, value) => value ?? last, null);
}

export function highest(columns: Column[]): number {
  return columns.flat().reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
}

// A limit far above all values would press them flat: it is named then, not drawn.
export function isNear(limit: number, peak: number): boolean {
  return peak >= limit / 4;
}
