// SPDX-License-Identifier: Apache-2.0
// Numbers as people say them: "1.25 s", "4.5 MiB", "37.2 %", and a chart's y axis ("cores" for CPU time).
// Pure; everything that shows a value calls it.

interface Step {
  name: string;
  size: number;
}

const durations: Step[] = [
  { name: 'ns', size: 1 },
  { name: 'µs', size: 1e3 },
  { name: 'ms', size: 1e6 },
  { name: 's', size: 1e9 },
  { name: 'min', size: 60e9 },
  { name: 'h', size: 3600e9 },
  { name: 'd', size: 86400e9 },
];
const sizes: Step[] = [
  { name: 'B', size: 1 },
  { name: 'KiB', size: 2 ** 10 },
  { name: 'MiB', size: 2 ** 20 },
  { name: 'GiB', size: 2 ** 30 },
  { name: 'TiB', size: 2 ** 40 },
  { name: 'PiB', size: 2 ** 50 },
];
const counts: Step[] = [
  { name: '', size: 1 },
  { name: 'k', size: 1e3 },
  { name: 'M', size: 1e6 },
  { name: 'G', size: 1e9 },
];

function decimals(value: number): number {
  const size = Math.abs(value);
  if (size === 0 || size >= 99.95) return 0;
  return size >= 9.995 ? 1 : size >= 0.1 ? 2 : size >= 0.01 ? 3 : 4;
}

// Three significant digits, no exponent, no zeros at the end: 0.0312, 1.25, 37.5, 2, 240.
export function digits(value: number): string {
  const text = value.toFixed(decimals(value));
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

// Three significant digits, so that a column of them lines up; whole numbers of the smallest unit as they are.
function scaled(value: number, steps: Step[]): string {
  const size = Math.abs(value);
  let step = steps[0];
  // 0.9995: what rounds up to a whole bigger unit is written in that one.
  for (const next of steps) if (size >= next.size * 0.9995) step = next;
  const inStep = value / step.size;
  const text = step === steps[0] && Number.isInteger(value) ? String(value) : inStep.toFixed(decimals(inStep));
  return `${text}${step.name ? ` ${step.name}` : ''}`;
}

export function formatValue(value: number, unit: string): string {
  if (unit === 'nanoseconds') return scaled(value, durations);
  if (unit === 'bytes') return scaled(value, sizes);
  return scaled(value, counts);
}

export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent > 0 && percent < 0.05) return '<0.1 %';
  return `${percent.toFixed(1)} %`;
}

// A change of a share, in percentage points.
export function formatPoints(change: number): string {
  const points = change * 100;
  if (Math.abs(points) < 0.05) return '0.0';
  return `${points > 0 ? '+' : '−'}${Math.abs(points).toFixed(1)}`;
}

export interface Axis {
  name: string; // what the axis counts
  value(total: number, seconds: number): number; // of a step that lasts that long
  format(value: number): string;
}

const countNames: Record<string, string> = {
  samples: 'samples per second',
  contentions: 'waits per second',
  exceptions: 'errors per second',
  alloc_objects: 'allocations per second',
};

// inuse_* is a level, everything else is summed over the step and shown as a rate.
export function axisFor(type: string, unit: string): Axis {
  if (type.startsWith('inuse_')) {
    return {
      name: unit === 'bytes' ? 'live bytes' : 'live objects',
      value: (total) => total,
      format: (v) => formatValue(v, unit),
    };
  }
  if (unit === 'nanoseconds') {
    const name = type === 'cpu' ? 'cores' : type === 'delay' ? 'threads waiting' : 'threads';
    return { name, value: (total, seconds) => total / 1e9 / seconds, format: digits };
  }
  const rate = (total: number, seconds: number) => total / seconds;
  if (unit === 'bytes') return { name: 'bytes per second', value: rate, format: (v) => `${formatValue(v, unit)}/s` };
  return { name: countNames[type] ?? `${type} per second`, value: rate, format: (v) => formatValue(v, unit) };
}
