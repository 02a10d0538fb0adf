// SPDX-License-Identifier: Apache-2.0
// The panel of runtime metrics below the timeline: closed it is one line; open, a chart for each metric that the
// service has. Whether it is open is in the URL.
import { getMetric, getMetricNames } from '../api.ts';
import type { RangeHost } from '../chart_style.ts';
import { fill, h, icon } from '../dom.ts';
import { Feed } from '../feed.ts';
import type { Router } from '../router.ts';
import { metricsKey, type State } from '../state.ts';
import { MetricChart, type ChartData } from './chart.ts';
import { makeSpecs, metricStep, mostCharts } from './specs.ts';

// As many charts as there were last, so that the rest of the page doesn't move when their data comes.
const countKey = 'siprof-metric-charts';
const usualCharts = 8;

function expectedCharts(): number {
  try {
    const count = Number(localStorage.getItem(countKey) ?? usualCharts);
    return Number.isInteger(count) && count >= 0 ? Math.min(count, mostCharts) : usualCharts;
  } catch {
    return usualCharts; // storage is blocked
  }
}

function rememberCharts(count: number): void {
  try {
    localStorage.setItem(countKey, String(count));
  } catch {
    // Storage is blocked: the usual number is expected.
  }
}

export class MetricsPanel {
  readonly element: HTMLElement;
  private readonly toggle: HTMLButtonElement;
  private readonly body = h('div', { class: 'metrics-body', id: 'metrics-body' });
  private readonly grid = h('div', { class: 'metrics-grid' });
  private readonly empty = h('div', { class: 'metrics-empty', role: 'status' });
  private readonly feed = new Feed<ChartData[]>(() => this.showCharts());
  private readonly charts = new Map<string, MetricChart>();

  constructor(
    private readonly router: Router,
    private readonly host: RangeHost,
  ) {
    this.toggle = h(
      'button',
      {
        type: 'button',
        class: 'metrics-toggle',
        'aria-controls': 'metrics-body',
        title: 'Runtime metrics (m)',
        on: { click: () => this.flip() },
      },
      icon('chevron'),
      h('span', { class: 'panel-title' }, 'Runtime metrics'),
    );
    this.body.append(this.grid, this.empty);
    this.element = h('section', { class: 'panel metrics', 'aria-label': 'Runtime metrics' }, this.toggle, this.body);
    this.showSkeleton(expectedCharts());
    this.showState(router.state);
  }

  flip(): void {
    this.router.push({ metrics: !this.router.state.metrics });
  }

  showState({ metrics }: State): void {
    this.toggle.setAttribute('aria-expanded', String(metrics));
    this.body.hidden = !metrics;
    document.body.classList.toggle('metrics-open', metrics);
  }

  // `state` is complete. Rejects with what the API says.
  async load(state: State, force: boolean): Promise<void> {
    if (!state.metrics) return;
    try {
      await this.feed.load(metricsKey(state), force, (signal) => ask(state, signal));
    } finally {
      if (!this.feed.data) this.showCharts();
    }
  }

  setTheme(): void {
    for (const chart of this.charts.values()) chart.setTheme();
  }

  // Charts that stay keep their place and their focus.
  private showCharts(): void {
    const data = this.feed.data ?? [];
    const names = data.map(({ spec }) => spec.metric.name);
    for (const [name, chart] of this.charts) {
      if (names.includes(name)) continue;
      chart.remove();
      this.charts.delete(name);
    }
    data.forEach((one, at) => {
      const { name } = one.spec.metric;
      const chart = this.charts.get(name) ?? new MetricChart(this.host);
      this.charts.set(name, chart);
      if (this.grid.children[at] !== chart.element)
        this.grid.insertBefore(chart.element, this.grid.children[at] ?? null);
      chart.show(one);
    });
    if (this.feed.data) rememberCharts(data.length);
    this.showSkeleton(this.feed.data ? 0 : expectedCharts());
    this.grid.hidden = this.feed.data !== null && data.length === 0;
    fill(this.empty, ...(this.grid.hidden ? this.nothing() : []));
  }

  // Charts that are still to come.
  private showSkeleton(count: number): void {
    for (const one of this.grid.querySelectorAll('.skeleton')) one.remove();
    for (let at = 0; at < count; ++at) this.grid.append(h('div', { class: 'metric skeleton', 'aria-hidden': 'true' }));
    this.grid.setAttribute('aria-busy', String(count > 0));
  }

  private nothing(): HTMLElement[] {
    const filtered = this.router.state.match.length > 0;
    return [
      h('strong', {}, 'No runtime metrics in this range'),
      h(
        'span',
        {},
        filtered
          ? 'Nothing with these labels was sent.'
          : 'Agents send CPU, memory, threads, faults and more every window, unless --kinds leaves out metrics.',
      ),
    ];
  }
}

async function ask(state: State, signal: AbortSignal): Promise<ChartData[]> {
  const names = await getMetricNames(state, signal);
  // Of the same range all, however long the answers take.
  const range = { from: names.from, to: names.to };
  const step = metricStep(range);
  const limits = new Map<string, ReturnType<typeof getMetric>>();
  return Promise.all(
    makeSpecs(names.metrics).map(async (spec) => {
      const wanted = spec.limit?.name;
      if (wanted && !limits.has(wanted))
        limits.set(wanted, getMetric(state, { name: wanted, by: '', step }, range, signal));
      // Together, so that none fails unseen when the other does.
      const [history, limit] = await Promise.all([
        getMetric(state, { name: spec.metric.name, by: spec.by, step }, range, signal),
        wanted ? limits.get(wanted) : null,
      ]);
      return { spec, history, limit: limit ?? null };
    }),
  );
}
