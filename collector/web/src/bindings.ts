// SPDX-License-Identifier: Apache-2.0
// What each key does. keys.ts shows this table and acts on it.
import type { GraphPanel } from './graph_panel.ts';
import type { Binding } from './keys.ts';
import type { MetricsPanel } from './metrics/panel.ts';
import type { Router } from './router.ts';
import type { View } from './state.ts';
import { toggleTheme } from './theme.ts';
import type { TimePicker } from './time_picker.ts';

export interface Bound {
  router: Router;
  time: TimePicker;
  graph: GraphPanel;
  metrics: MetricsPanel;
  refresh(): void;
}

export function bindings({ router, time, graph, metrics, refresh }: Bound): Binding[] {
  const one = (key: string, text: string, act: () => void, shown = key): Binding => ({ key, shown, text, act });
  const view = (key: string, name: View, text: string) => one(key, text, () => router.push({ view: name }));
  return [
    one('/', 'Search', () => graph.search.focus()),
    one('n', 'Next match', () => graph.jump(1)),
    one('N', 'Previous match', () => graph.jump(-1), 'Shift N'),
    one('Escape', 'Reset the zoom, then the search', () => escape(router), 'Esc'),
    view('1', 'top', 'Top table'),
    view('2', 'both', 'Both'),
    view('3', 'flame', 'Flame graph'),
    one('m', 'Runtime metrics', () => metrics.flip()),
    one('f', 'Move the focus to the flame graph', () => graph.flame.focus()),
    one('[', 'Earlier', () => time.shift(-1)),
    one(']', 'Later', () => time.shift(1)),
    one('-', 'Leave the range, or a range twice as long', () => time.out()),
    one('l', 'Live on or off', () => time.toggleLive()),
    one('.', 'Refresh', refresh),
    one('t', 'Light or dark', toggleTheme),
  ];
}

function escape(router: Router): void {
  if (router.state.zoom) router.push({ zoom: '' });
  else if (router.state.search) router.push({ search: '' });
}
