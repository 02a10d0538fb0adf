// SPDX-License-Identifier: Apache-2.0
// Everything that the page shows, as one value, and its form in the URL's query. Pure: router.ts owns the
// browser's history. Only what differs from the default is written, so that links stay short.
import { isRelative, parseTime } from './time.ts';

export type View = 'both' | 'flame' | 'top';
export type SortColumn = 'name' | 'self' | 'total' | 'trend';

export interface State {
  service: string;
  kind: string; // '' is the service's first
  type: string; // '' is the kind's default
  from: string;
  to: string;
  match: string[]; // label=value
  by: string; // a label, '' for none
  view: View;
  search: string; // a part of the name; "in quotes" the whole name
  regex: boolean;
  zoom: string; // path key of a flame graph's node (flame/layout.ts)
  sort: SortColumn;
  descending: boolean;
  live: boolean;
  full: boolean; // all nodes of the flame graph, not only the largest 8192
  metrics: boolean; // the panel of runtime metrics is open
}

export const defaults: Readonly<State> = Object.freeze({
  service: '',
  kind: '',
  type: '',
  from: 'now-1h',
  to: 'now',
  match: [],
  by: '',
  view: 'both' as View,
  search: '',
  regex: false,
  zoom: '',
  sort: 'self' as SortColumn,
  descending: true,
  live: false,
  full: false,
  metrics: false,
});

const views: readonly string[] = ['both', 'flame', 'top'];
const columns: readonly string[] = ['name', 'self', 'total', 'trend'];

function time(text: string | null, fallback: string): string {
  return text !== null && parseTime(text, 0) !== undefined ? normalTime(text) : fallback;
}

// What the API takes: relative as it is, everything else as unix seconds.
export function normalTime(text: string): string {
  return isRelative(text.trim()) ? text.trim() : String(Math.round(parseTime(text, 0) ?? 0));
}

// Reads a query; what makes no sense there becomes the default.
export function parseState(query: string): State {
  const params = new URLSearchParams(query);
  const text = (name: string) => params.get(name) ?? '';
  const sort = text('sort');
  const column = sort.replace(/^-/, '');
  const to = time(params.get('to'), defaults.to);
  return {
    service: text('service'),
    kind: text('kind'),
    type: text('type'),
    from: time(params.get('from'), defaults.from),
    to,
    match: params.getAll('match').filter((pair) => pair.indexOf('=') > 0),
    by: text('by'),
    view: views.includes(text('view')) ? (text('view') as View) : defaults.view,
    search: text('q'),
    regex: params.get('regex') === '1',
    zoom: text('zoom'),
    sort: columns.includes(column) ? (column as SortColumn) : defaults.sort,
    descending: sort ? sort.startsWith('-') : defaults.descending,
    live: params.get('live') === '1' && to === 'now',
    full: params.get('full') === '1',
    metrics: params.get('metrics') === '1',
  };
}

export function formatState(state: State): string {
  const params = new URLSearchParams();
  const put = (name: string, value: string, fallback: string) => {
    if (value !== fallback) params.append(name, value);
  };
  for (const name of ['service', 'kind', 'type', 'from', 'to', 'by', 'view'] as const)
    put(name, state[name], defaults[name]);
  for (const pair of state.match) params.append('match', pair);
  put('q', state.search, '');
  put('regex', state.regex ? '1' : '', '');
  put('zoom', state.zoom, '');
  put('sort', `${state.descending ? '-' : ''}${state.sort}`, '-self');
  put('live', state.live ? '1' : '', '');
  put('full', state.full ? '1' : '', '');
  put('metrics', state.metrics ? '1' : '', '');
  return params.toString();
}

// The part of the state that decides which data is asked for; equal keys have equal answers.
export function dataKey(state: State): string {
  return JSON.stringify([state.service, state.kind, state.type, state.from, state.to, state.match]);
}

// The same of runtime metrics, which no kind of profile has.
export function metricsKey(state: State): string {
  return JSON.stringify([state.service, state.from, state.to, state.match]);
}
