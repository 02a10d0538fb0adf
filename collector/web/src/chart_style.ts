// SPDX-License-Identifier: Apache-2.0
// What all charts over time look like, and what they share while the mouse is over one of them.
import uPlot from 'uplot';
import { currentTheme } from './theme.ts';

const lineColors = {
  light: ['#2f62d0', '#0f8577', '#c2600f', '#8a4fc4', '#b93662', '#5c7a12', '#19799f', '#9c6b00', '#6b6f7b', '#b0417f'],
  dark: ['#7aa5ff', '#4cc9b6', '#f2a35e', '#c29bf2', '#f2849f', '#b3cf63', '#67c6ec', '#e3bd52', '#a8b0bd', '#eb8fc4'],
};

// Of the line at this place; what is left of too many lines is grey.
export function lineColor(at: number, label: string): string {
  const colors = lineColors[currentTheme()];
  return label === '(other)' ? colors[8] : colors[at % colors.length];
}

// Ticks of bytes at 1, 2, 4 … MiB rather than at 1.91 and 3.81.
export const binarySteps = Array.from({ length: 60 }, (_, power) => 2 ** power);

// Style of both axes, from the theme of `element`.
export function axisStyle(element: Element): uPlot.Axis {
  const style = getComputedStyle(element);
  return {
    stroke: style.getPropertyValue('--muted'),
    grid: { stroke: style.getPropertyValue('--grid'), width: 1 },
    ticks: { show: false },
    font: `11px ${style.getPropertyValue('--font')}`,
  };
}

export interface RangeHost {
  select(from: number, to: number): void;
  leave(): void;
}

// A drag on one chart is drawn on all; the one that it began on says what was chosen.
let dragged: uPlot | null = null;

// The mouse stands at the same time on all charts.
export function sharedCursor(host: RangeHost): uPlot.Cursor {
  return {
    y: false,
    drag: { x: true, y: false, setScale: false, dist: 5 },
    sync: { key: 'siprof', scales: ['x', null] },
    bind: {
      mousedown: (chart, _, handler) => (event) => {
        dragged = chart;
        handler(event);
        return null;
      },
      dblclick: () => () => {
        host.leave();
        return null;
      },
    },
  };
}

// A hook for `setSelect`.
export function selected(chart: uPlot, host: RangeHost): void {
  const { left, width } = chart.select;
  if (width < 5) return;
  const from = Math.floor(chart.posToVal(left, 'x'));
  const to = Math.ceil(chart.posToVal(left + width, 'x'));
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (dragged !== chart) return;
  dragged = null;
  host.select(from, Math.max(to, from + 10));
}
