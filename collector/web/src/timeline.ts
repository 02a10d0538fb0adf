// SPDX-License-Identifier: Apache-2.0
// The chart over time (uPlot): drag zooms into a range, a double click leaves it, the legend hides lines.
import uPlot from 'uplot';
import type { Series } from './api.ts';
import { axisStyle, binarySteps, lineColor, selected, sharedCursor, type RangeHost } from './chart_style.ts';
import { fill, h } from './dom.ts';
import { formatMoment, formatTicks } from './time.ts';
import { chartColumns, lonePoints } from './timeline_data.ts';
import { axisFor, type Axis } from './units.ts';
import { typeName } from './selection.ts';

export class Timeline {
  readonly element: HTMLElement;
  private readonly title = h('h2', { class: 'panel-title' });
  private readonly unit = h('span', { class: 'panel-unit' });
  private readonly legend = h('div', { class: 'legend', role: 'group', 'aria-label': 'Lines' });
  private readonly plot = h('div', { class: 'plot' });
  private readonly readout = h('div', { class: 'readout', hidden: true });
  private chart: uPlot | null = null;
  private series: Series | null = null;
  private axis: Axis = axisFor('cpu', 'nanoseconds');
  private readonly hidden = new Set<string>();

  constructor(
    private readonly host: RangeHost,
    private readonly type: HTMLSelectElement,
  ) {
    this.element = h(
      'section',
      { class: 'panel timeline', 'aria-label': 'Timeline' },
      h(
        'div',
        { class: 'panel-head' },
        this.title,
        this.type,
        this.unit,
        this.legend,
        h('span', { class: 'hint drag-hint' }, 'Drag to zoom in, double-click to go back'),
      ),
      this.plot,
    );
    this.plot.append(this.readout);
    new ResizeObserver(() => this.chart?.setSize(this.size())).observe(this.plot);
  }

  show(series: Series | null): void {
    this.series = series;
    this.draw();
  }

  setTheme(): void {
    this.draw();
  }

  private size(): { width: number; height: number } {
    return { width: this.plot.clientWidth, height: this.plot.clientHeight };
  }

  private color(at: number): string {
    return lineColor(at, this.series?.series[at].label ?? '');
  }

  private draw(): void {
    this.chart?.destroy();
    this.chart = null;
    this.readout.hidden = true;
    const { series } = this;
    if (!series) {
      fill(this.title, this.type.hidden ? 'Timeline' : '');
      fill(this.unit);
      fill(this.legend);
      return;
    }
    this.axis = axisFor(series.type, series.unit);
    fill(this.title, this.type.hidden ? typeName(series.type) : '');
    fill(this.unit, this.axis.name);
    this.drawLegend(series);
    this.chart = new uPlot(this.options(series), chartColumns(series, this.axis) as uPlot.AlignedData, this.plot);
  }

  private drawLegend(series: Series): void {
    const grouped = series.series.length > 1 || series.series[0]?.label !== '';
    fill(
      this.legend,
      ...(grouped
        ? series.series.map(({ label }, at) => {
            const swatch = h('span', { class: 'swatch' });
            swatch.style.background = this.color(at);
            return h(
              'button',
              {
                type: 'button',
                class: 'legend-item',
                'aria-pressed': String(!this.hidden.has(label)),
                title: label,
                on: { click: () => this.toggle(label) },
              },
              swatch,
              label || '(none)',
            );
          })
        : []),
    );
  }

  private toggle(label: string): void {
    if (!this.hidden.delete(label)) this.hidden.add(label);
    this.draw();
  }

  private options(series: Series): uPlot.Options {
    const axis = axisStyle(this.element);
    return {
      ...this.size(),
      legend: { show: false },
      padding: [8, 12, 0, 0],
      scales: {
        // The first step may begin before the range.
        x: { time: true, range: () => [Math.min(series.from, series.times[0] ?? series.from), series.to] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      axes: [
        { ...axis, size: 26, space: 72, values: (_, splits) => formatTicks(splits) },
        {
          ...axis,
          size: (_, values) => 16 + 6.5 * Math.max(3, ...(values ?? []).map((text) => text.length)),
          space: 22,
          ...(series.unit === 'bytes' ? { incrs: binarySteps } : {}),
          values: (_, splits) => splits.map((value) => this.axis.format(value)),
        },
      ],
      series: [
        {},
        ...series.series.map(({ label }, at) => ({
          label,
          stroke: this.color(at),
          width: 1.5,
          // A line needs two points: one that stands alone is a dot, however dense the rest is.
          points: {
            size: 4,
            fill: this.color(at),
            filter: (chart: uPlot, index: number, shown: boolean) => (shown ? null : lonePoints(chart.data[index])),
          },
          show: !this.hidden.has(label),
          spanGaps: false,
          ...(series.series.length === 1 ? { fill: `${this.color(at)}22` } : {}),
        })),
      ],
      cursor: { ...sharedCursor(this.host), points: { size: 7 } },
      hooks: {
        setSelect: [(chart) => selected(chart, this.host)],
        setCursor: [(chart) => this.read(chart)],
      },
    };
  }

  private read(chart: uPlot): void {
    const { idx, left } = chart.cursor;
    this.readout.hidden = idx === null || idx === undefined || left === undefined || left < 0;
    if (this.readout.hidden || idx == null || left === undefined || !this.series) return;
    const rows = this.series.series
      .map(({ label }, at) => ({ label, at, value: chart.data[at + 1][idx] }))
      .filter(({ label }) => !this.hidden.has(label))
      .slice(0, 12);
    fill(
      this.readout,
      h('div', { class: 'readout-time' }, formatMoment(chart.data[0][idx])),
      ...rows.map(({ label, at, value }) => {
        const swatch = h('span', { class: 'swatch' });
        swatch.style.background = this.color(at);
        const text = value == null ? 'nothing recorded' : `${this.axis.format(value)}${this.axis.suffix}`;
        return h(
          'div',
          { class: 'readout-row' },
          swatch,
          label ? h('span', { class: 'readout-label' }, label) : null,
          h('strong', {}, text),
        );
      }),
    );
    const at = left + chart.over.offsetLeft + 14;
    const flip = at + this.readout.offsetWidth > this.plot.clientWidth;
    this.readout.style.transform = `translate(${Math.round(flip ? at - 28 - this.readout.offsetWidth : at)}px, 6px)`;
  }
}
