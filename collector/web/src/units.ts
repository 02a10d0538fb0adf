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

// Nothing needs no unit.
function tick(unit: string, suffix = ''): (value: number) => string {
  return (value) => (value === 0 ? '0' : `${formatValue(value, unit)}${suffix}`);
}

export interface Axis {
  name: string; // of what kind its numbers are, behind the type's name: "Errors raised per minute"
  value(total: number, seconds: number): number; // of a step that lasts that long
  format(value: number): string;
  suffix: string; // what a number that stands alone needs besides: a tick of the axis has the axis's name
}

// Of what comes as events, a window without any has no profile: between two that have one nothing happened.
export function isEvents(type: string): boolean {
  return ['delay', 'contentions', 'bytes', 'exceptions'].includes(type);
}

// inuse_* is what there is at a time; all else adds up over time.
export function isLevel(type: string): boolean {
  return type.startsWith('inuse_');
}

const perSecond = (total: number, seconds: number) => total / seconds;

function levelAxis(unit: string): Axis {
  return { name: '', value: (total) => total, format: tick(unit), suffix: '' };
}

// CPU time is cores, and the time of threads is threads: what fraction of one, or how many. Waits are rare,
// and how long they take is what people look for.
function timeAxis(type: string): Axis {
  if (type === 'delay') {
    return { name: 'per second', value: perSecond, format: tick('nanoseconds', '/s'), suffix: '' };
  }
  const name = type === 'cpu' ? 'cores' : 'threads';
  return { name, value: (total, seconds) => total / 1e9 / seconds, format: digits, suffix: ` ${name}` };
}

export function axisFor(type: string, unit: string): Axis {
  if (isLevel(type)) return levelAxis(unit);
  if (unit === 'nanoseconds') return timeAxis(type);
  if (unit === 'bytes') return { name: 'per second', value: perSecond, format: tick(unit, '/s'), suffix: '' };
  const format = tick(unit);
  // Few a second, if all is well: 0.0333 would be one every half minute.
  if (type === 'exceptions')
    return { name: 'per minute', value: (total, seconds) => (60 * total) / seconds, format, suffix: '/min' };
  return { name: 'per second', value: perSecond, format, suffix: '/s' };
}

export interface MetricAxis {
  scale: number; // by which a value or a rate is multiplied
  binary: boolean; // ticks at powers of two
  format(value: number): string; // of a scaled value
}

const cores = (value: number) => (value === 0 ? '0' : `${digits(value)} ${value === 1 ? 'core' : 'cores'}`);
const percent = (value: number) => (value === 0 ? '0' : `${digits(value)} %`);

// Of a runtime metric in OpenTelemetry's units: a counter is shown as its rate.
export function metricAxis({ name, unit, type }: { name: string; unit: string; type: string }): MetricAxis {
  const rate = type === 'counter' ? '/s' : '';
  // A second of CPU time a second is a core.
  if (name === 'process.cpu.time' && rate && unit === 's') return { scale: 1, binary: false, format: cores };
  if (unit === '{cpu}' && !rate) return { scale: 1, binary: false, format: cores };
  if (unit === '1' && name.endsWith('utilization')) return { scale: 100, binary: false, format: percent };
  if (unit === 'By') return { scale: 1, binary: true, format: tick('bytes', rate) };
  if (unit === 's') return { scale: 1e9, binary: false, format: tick('nanoseconds', rate) };
  return { scale: 1, binary: false, format: tick('count', rate) };
}
