// SPDX-License-Identifier: Apache-2.0
// The collector's HTTP API (docs/http-api.md): types of its answers, one function a path. Addresses are
// relative to the page, so that a reverse proxy may put it below a path.
import type { State } from './state.ts';

export interface SampleType {
  type: string;
  unit: string;
}
export interface Kind {
  kind: string;
  default_type: string;
  types: SampleType[];
}
export interface Service {
  service: string;
  first: number;
  last: number;
  kinds: Kind[];
  versions: string[];
  hosts: string[];
}

interface Head {
  service: string;
  kind: string;
  type: string;
  unit: string;
  from: number;
  to: number;
}
export interface Series extends Head {
  step: number;
  times: number[];
  series: { label: string; total: number; values: (number | null)[] }[];
}
export interface FlameGraph extends Head {
  counters?: Record<string, number>;
  total: number;
  profiles: number;
  nodes_in_all: number;
  names: string[];
  files: string[];
  nodes: { name: number[]; file: number[]; parent: number[]; self: number[]; total: number[] };
}
export interface Shares {
  self_share: number;
  total_share: number;
}
export interface TopFunction extends Shares {
  name: string;
  file: string;
  self: number;
  total: number;
  before: Shares | null;
}
export interface Top extends Head {
  total: number;
  functions: TopFunction[];
}

export interface Metric {
  name: string;
  unit: string;
  type: 'gauge' | 'counter';
}
export interface MetricNames {
  service: string;
  from: number;
  to: number;
  metrics: Metric[];
}
export interface MetricLine {
  label: string;
  total: number;
  values: (number | null)[];
  max?: (number | null)[]; // of a gauge
  rate?: (number | null)[]; // of a counter, per second
}
export interface MetricHistory extends Metric {
  service: string;
  from: number;
  to: number;
  step: number;
  times: number[];
  series: MetricLine[];
}

// What was asked for can't be had; `message` says why, in the collector's own words where it has any.
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

type Query = [string, string][];

async function failure(response: Response): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    return new ApiError(response.status, error.code, error.message);
  } catch {
    // Not the collector's form: a proxy in between, or something else on the port.
    return new ApiError(
      response.status,
      'unknown',
      `The server answered ${response.status} ${response.statusText}`.trim(),
    );
  }
}

async function get<T>(path: string, query: Query, signal?: AbortSignal): Promise<T> {
  const address = query.length ? `${path}?${new URLSearchParams(query)}` : path;
  try {
    const response = await fetch(address, { signal: signal ?? null, headers: { Accept: 'application/json' } });
    if (!response.ok) throw await failure(response);
    return (await response.json()) as T;
  } catch (error) {
    // fetch() and a body that breaks off reject with a TypeError, whatever the cause.
    if (signal?.aborted || !(error instanceof TypeError)) throw error;
    throw new ApiError(0, 'unreachable', 'The collector does not answer. Is siprof-collector running?');
  }
}

function selection(state: State): Query {
  const query: Query = [
    ['service', state.service],
    ['kind', state.kind],
    ['type', state.type],
    ['from', state.from],
    ['to', state.to],
  ];
  for (const pair of state.match) query.push(['match', pair]);
  return query.filter(([, value]) => value !== '');
}

export async function getServices(): Promise<Service[]> {
  return (await get<{ services: Service[] }>('api/v1/services', [])).services;
}

export async function getLabels(state: State): Promise<string[]> {
  const query: Query = [
    ['service', state.service],
    ['from', state.from],
    ['to', state.to],
  ];
  return (await get<{ labels: string[] }>('api/v1/labels', query)).labels;
}

export async function getLabelValues(state: State, label: string): Promise<string[]> {
  const query: Query = [
    ['service', state.service],
    ['from', state.from],
    ['to', state.to],
  ];
  return (await get<{ values: string[] }>(`api/v1/labels/${encodeURIComponent(label)}`, query)).values;
}

export function getSeries(state: State, signal: AbortSignal): Promise<Series> {
  const by: Query = state.by ? [['by', state.by]] : [];
  return get('api/v1/series', [...selection(state), ...by], signal);
}

export function getFlame(state: State, signal: AbortSignal): Promise<FlameGraph> {
  const nodes: Query = state.full ? [['nodes', '100000']] : [];
  // What a thread waited for, what was thrown: on top of its stack. CPU samples have no such labels.
  return get('api/v1/flame', [...selection(state), ...nodes, ['labels', '1']], signal);
}

export function getTop(state: State, signal: AbortSignal): Promise<Top> {
  const sort = state.sort === 'total' ? 'total' : 'self';
  return get('api/v1/top', [...selection(state), ['limit', '1000'], ['sort', sort]], signal);
}

// Ranges of `state` unless one is given: unix seconds.
function metricQuery(state: State, range?: { from: number; to: number }): Query {
  const query: Query = [
    ['service', state.service],
    ['from', range ? String(range.from) : state.from],
    ['to', range ? String(range.to) : state.to],
  ];
  for (const pair of state.match) query.push(['match', pair]);
  return query;
}

export function getMetricNames(state: State, signal: AbortSignal): Promise<MetricNames> {
  return get('api/v1/metrics', metricQuery(state), signal);
}

export function getMetric(
  state: State,
  { name, by, step }: { name: string; by: string; step: number },
  range: { from: number; to: number },
  signal: AbortSignal,
): Promise<MetricHistory> {
  const split: Query = by ? [['by', by]] : [];
  const asked: Query = [['name', name], ['step', String(step)], ...split];
  return get('api/v1/metrics', [...metricQuery(state, range), ...asked], signal);
}

export function profileAddress(state: State): string {
  // The answer holds all types of the kind; `type` is the one that pprof opens with.
  return `api/v1/profile?${new URLSearchParams(selection(state))}`;
}

// Sets the cookie; throws the ApiError that says why not.
export async function login(token: string): Promise<void> {
  const response = await fetch('login', { method: 'POST', body: new URLSearchParams({ token }) });
  if (!response.ok) throw await failure(response);
}
