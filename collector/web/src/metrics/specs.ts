// SPDX-License-Identifier: Apache-2.0
// Which charts a service's runtime metrics make, and what people call them. Pure.
import type { Metric } from '../api.ts';

export interface Spec {
  metric: Metric;
  title: string;
  by: string; // a label, '' for none
  limit: Metric | null; // drawn as a line
}

interface Known {
  title: string;
  names: string[]; // the first one that there is
  by?: string;
  limit?: string;
}

// In this order.
const known: Known[] = [
  {
    title: 'CPU utilization',
    names: ['process.cpu.time', 'process.cpu.utilization'],
    by: 'cpu.mode',
    limit: 'container.cpu.limit',
  },
  { title: 'Memory (RSS)', names: ['process.memory.usage'], limit: 'container.memory.limit' },
  { title: 'Threads', names: ['process.thread.count'] },
  {
    title: 'Open descriptors',
    names: ['process.unix.file_descriptor.count'],
    limit: 'process.unix.file_descriptor.limit',
  },
  { title: 'Page faults', names: ['process.paging.faults'], by: 'system.paging.fault.type' },
  { title: 'Context switches', names: ['process.context_switches'], by: 'process.context_switch.type' },
  { title: 'Disk I/O', names: ['process.disk.io'], by: 'disk.io.direction' },
  { title: 'Time throttled', names: ['container.cpu.throttled.time'] },
  { title: 'Container memory', names: ['container.memory.usage'], limit: 'container.memory.limit' },
  { title: 'Blocking calls', names: ['siprof.io.calls'], by: 'call' },
  { title: 'Bytes moved by calls', names: ['siprof.io.bytes'], by: 'call' },
  { title: 'Time in blocking calls', names: ['siprof.io.time'], by: 'call' },
  { title: 'GC runs', names: ['cpython.gc.collections'], by: 'cpython.gc.generation' },
  { title: 'Time in GC', names: ['cpython.gc.pause'], by: 'cpython.gc.generation' },
  { title: 'Objects collected', names: ['cpython.gc.collected_objects'], by: 'cpython.gc.generation' },
  { title: 'Objects not collectable', names: ['cpython.gc.uncollectable_objects'] },
  { title: 'Blocks allocated by Python', names: ['cpython.allocated_blocks'] },
  { title: 'Modules loaded', names: ['cpython.modules'] },
];

// Say the same as a chart that there is, or nothing by themselves.
const silent = [
  'process.memory.virtual',
  'container.cpu.periods',
  'container.cpu.throttled.periods',
  ...known.flatMap(({ names, limit }) => (limit ? [...names, limit] : names)),
];

export const mostCharts = 24;

export function makeSpecs(metrics: Metric[]): Spec[] {
  const find = (name: string | undefined) => metrics.find((one) => one.name === name) ?? null;
  const specs: Spec[] = [];
  for (const { title, names, by = '', limit } of known) {
    const metric = names.map(find).find((one) => one !== null);
    if (!metric) continue;
    const found = find(limit);
    // What is drawn into one chart has one scale: cores, not a share of the machine's.
    const comparable = found && metric.name !== 'process.cpu.utilization' ? found : null;
    specs.push({ metric, title, by, limit: comparable });
  }
  for (const metric of metrics) {
    if (!silent.includes(metric.name) && !specs.some(({ metric: { name } }) => name === metric.name))
      specs.push({ metric, title: metric.name, by: '', limit: null });
  }
  return specs.slice(0, mostCharts);
}

// Seconds: about as many steps as a small chart has room for, in whole windows.
export function metricStep({ from, to }: { from: number; to: number }): number {
  return Math.max(10, Math.ceil((to - from) / 150 / 10) * 10);
}
