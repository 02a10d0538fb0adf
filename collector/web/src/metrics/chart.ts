// SPDX-License-Identifier: Apache-2.0
// One small chart of a runtime metric. It shares range, cursor and drags with the timeline; the values at the
// cursor, or the last ones, stand in its head.
import uPlot from 'uplot';
import type { MetricHistory } from '../api.ts';
import { axisStyle, binarySteps, lineColor, selected, sharedCursor, type RangeHost } from '../chart_style.ts';
import { fill, h } from '../dom.ts';
import { formatMoment, formatTicks } from '../time.ts';
import { lonePoints } from '../timeline_data.ts';
import { metricAxis, type MetricAxis } from '../units.ts';
import { highest, isNear, lastValue, lineColumns, peakColumn, type Column } from './columns.ts';
import type { Spec } from './specs.ts';

export interface ChartData {
  spec: Spec;
  history: MetricHistory;
  limit: MetricHistory | null;
}

const mostShown = 4; // lines with a value in the head

// uPlot's types leave out the last argument: the other charts follow.
type MoveCursor = (to: { left: number; top: number }, fire: boolean, publish: boolean) => void;

export class MetricChart {
  readonly element: HTMLElement;
  private readonly values = h('div', { class: 'metric-values' });
  private readonly title = h('h3', { class: 'metric-title' });
  private readonly note = h('span', { class: 'metric-note' });
  private readonly plot: HTMLElement;
  private readonly resized = new ResizeObserver(() => this.chart?.setSize(this.size()));
  private chart: uPlot | null = null;
  private data: ChartData | null = null;
  private axis: MetricAxis = metricAxis({ name: '', unit: '', type: 'gauge' });
  private lines: Column[] = [];
  private peak: Column | null = null;
  private limit: number | null = null;
  private byKeys = false; // the cursor was put where it is by keys

  constructor(private readonly host: RangeHost) {
    this.plot = h('div', {
      class: 'metric-plot',
      tabindex: 0,
      role: 'img',
      on: { keydown: (event) => this.pressed(event), blur: () => this.blurred() },
    });
    const head = h('div', { class: 'metric-head' }, this.title, this.note);
    this.element = h('section', { class: 'metric' }, head, this.values, this.plot);
    this.resized.observe(this.plot);
  }

  // Off the page for good: nothing goes on following the cursor.
  remove(): void {
    this.resized.disconnect();
    this.chart?.destroy();
    this.chart = null;
    this.element.remove();
  }

  show(data: ChartData): void {
    const { spec, history, limit } = data;
    this.data = data;
    this.axis = metricAxis(history);
    this.lines = lineColumns(history, this.axis);
    this.peak = peakColumn(history, this.axis);
    const limits = limit && limit.series.length > 0 ? lineColumns(limit, metricAxis(limit))[0] : [];
    this.limit = lastValue(limits);
    fill(this.title, spec.title);
    this.title.title = spec.metric.name;
    fill(this.note, this.limit === null ? null : `limit ${this.axis.format(this.limit)}`);
    this.draw();
  }

  setTheme(): void {
    if (this.data) this.draw();
  }

  private size(): { width: number; height: number } {
    return { width: this.plot.clientWidth, height: this.plot.clientHeight };
  }

  private draw(): void {
    this.chart?.destroy();
    const { history } = this.data as ChartData;
    const columns = this.peak ? [...this.lines, this.peak] : this.lines;
    const limit = this.limit !== null && isNear(this.limit, highest(columns)) ? this.limit : null;
    const drawn = limit === null ? columns : [...columns, history.times.map(() => limit)];
    const data = [history.times, ...drawn] as uPlot.AlignedData;
    this.chart = new uPlot(this.options(history, limit), data, this.plot);
    this.read(null);
    const [name, values] = [this.title.textContent, this.values.textContent];
    this.plot.setAttribute('aria-label', `${name}: last ${values}, highest ${this.axis.format(highest(columns))}`);
  }

  private options(history: MetricHistory, limit: number | null): uPlot.Options {
    const withPeak = this.peak !== null;
    const axis = axisStyle(this.element);
    const worse = getComputedStyle(this.element).getPropertyValue('--worse');
    const count = this.lines.length;
    const alone = count === 1;
    return {
      ...this.size(),
      legend: { show: false },
      padding: [6, 8, 0, 0],
      scales: {
        x: { time: true, range: () => [history.from, history.to] },
        y: { range: (_, least, most) => [Math.min(0, least ?? 0), most > 0 ? most * 1.08 : 1] },
      },
      axes: [
        { ...axis, size: 22, space: 64, values: (_, splits) => formatTicks(splits) },
        {
          ...axis,
          // All charts of a column begin at the same place, so that one looks down from one to the next.
          size: 62,
          space: this.axis.binary ? 18 : 26,
          ...(this.axis.binary ? { incrs: binarySteps } : {}),
          values: (_, splits) => splits.map((value) => this.axis.format(value)),
        },
      ],
      series: [
        {},
        ...history.series.map(({ label }, at) => ({
          stroke: lineColor(at, label),
          width: 1.5,
          points: {
            size: 4,
            fill: lineColor(at, label),
            filter: (chart: uPlot, index: number, shown: boolean) => (shown ? null : lonePoints(chart.data[index])),
          },
          ...(alone ? { fill: `${lineColor(at, label)}1f` } : {}),
        })),
        ...(withPeak ? [{ stroke: `${lineColor(0, '')}80`, width: 1, points: { show: false } }] : []),
        ...(limit === null ? [] : [{ stroke: worse, width: 1, dash: [5, 4], points: { show: false } }]),
      ],
      bands: withPeak ? [{ series: [2, 1], fill: `${lineColor(0, '')}1a` }] : [],
      // A dot for lines, none for the peak and the limit.
      cursor: { ...sharedCursor(this.host), points: { size: (_, at) => (at <= count ? 5 : 0) } },
      hooks: {
        setSelect: [(chart) => selected(chart, this.host)],
        setCursor: [(chart) => this.read(chart.cursor.idx ?? null)],
      },
    };
  }

  // Values at a step, or the last ones.
  private read(at: number | null): void {
    if (!this.data) return;
    const { series, times } = this.data.history;
    const several = series.length > 1 || (series[0]?.label ?? '') !== '';
    const rows = series.slice(0, mostShown).map(({ label }, line) => {
      const value = at === null ? lastValue(this.lines[line]) : (this.lines[line][at] ?? null);
      const swatch = h('span', { class: 'swatch' });
      swatch.style.background = lineColor(line, label);
      return h(
        'span',
        { class: 'metric-value' },
        several ? swatch : null,
        several ? h('span', { class: 'metric-label' }, `${label || 'other'} `) : null,
        h('strong', {}, value === null ? '–' : this.axis.format(value)),
        ' ',
      );
    });
    const more = series.length - mostShown;
    const peak = this.peak && (at === null ? lastValue(this.peak) : this.peak[at]);
    const rest = more > 0 ? `+${more}` : peak === null ? '' : `peak ${this.axis.format(peak)}`;
    fill(this.values, ...rows, rest ? h('span', { class: 'metric-label' }, rest) : null);
    this.values.title = at === null ? '' : formatMoment(times[at]);
  }

  private pressed(event: KeyboardEvent): void {
    const { chart } = this;
    const last = (chart?.data[0].length ?? 0) - 1;
    if (!chart || last < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const now = chart.cursor.idx ?? last;
    const steps: Record<string, number> = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last };
    if (event.key === 'Escape') this.leave();
    else if (!(event.key in steps)) return;
    else this.move(Math.max(0, Math.min(last, steps[event.key])));
    this.byKeys = event.key !== 'Escape';
    event.preventDefault();
    event.stopPropagation();
  }

  private move(at: number): void {
    const { chart } = this;
    if (chart) this.put(Math.max(0, chart.valToPos(chart.data[0][at], 'x')), 0);
  }

  private leave(): void {
    this.put(-10, -10);
  }

  // Not when a press on another chart took the focus: it has begun a drag, which the cursor would move.
  private blurred(): void {
    if (this.byKeys && !document.querySelector('.u-over:active')) this.leave();
    this.byKeys = false;
  }

  // On all charts, as the mouse does.
  private put(left: number, top: number): void {
    if (this.chart) (this.chart.setCursor as MoveCursor)({ left, top }, true, true);
  }
}
