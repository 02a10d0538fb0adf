// SPDX-License-Identifier: Apache-2.0
// The box beside the pointer: a function's full name and file, its self and total values, their share of
// everything and of the zoomed function.
import { fill, h } from '../dom.ts';
import { formatShare, formatValue } from '../units.ts';
import { nameOf, type Layout } from './layout.ts';
import { nameParts } from './names.ts';

// A name of several lines comes second, below one without template arguments and parameters.
const longName = 120; // characters

export class Tooltip {
  readonly element = h('div', { class: 'tooltip', role: 'tooltip', hidden: true });

  show(layout: Layout, node: number, zoom: number, x: number, y: number): void {
    const { graph } = layout;
    const file = graph.files[graph.nodes.file[node]];
    const zoomed = zoom > 0 && layout.row[node] >= layout.row[zoom];
    fill(
      this.element,
      ...title(node === 0 ? `${graph.service} (everything)` : nameOf(layout, node)),
      file ? h('div', { class: 'tooltip-file' }, file) : null,
      h(
        'table',
        {},
        h(
          'thead',
          {},
          h('tr', {}, h('th'), h('th', {}, 'value'), h('th', {}, 'of total'), zoomed && h('th', {}, 'of zoomed')),
        ),
        h(
          'tbody',
          {},
          this.line('Self', graph.nodes.self[node], layout, zoomed ? zoom : 0),
          this.line('Total', graph.nodes.total[node], layout, zoomed ? zoom : 0),
        ),
      ),
    );
    this.element.hidden = false;
    this.place(x, y);
  }

  hide(): void {
    this.element.hidden = true;
  }

  private line(name: string, value: number, { graph }: Layout, zoom: number): HTMLElement {
    const share = (of: number) => h('td', {}, of > 0 ? formatShare(value / of) : '–');
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      h('td', {}, formatValue(value, graph.unit)),
      share(graph.total),
      zoom > 0 && share(graph.nodes.total[zoom]),
    );
  }

  // Below and right of the pointer, above it where the window ends; never under it, where it would flicker.
  private place(x: number, y: number): void {
    const { offsetWidth, offsetHeight } = this.element;
    const left = Math.max(8, Math.min(x + 14, innerWidth - 8 - offsetWidth));
    const top = y + 18 + offsetHeight > innerHeight ? Math.max(8, y - 12 - offsetHeight) : y + 18;
    this.element.style.transform = `translate(${Math.round(left)}px, ${Math.round(top)}px)`;
  }
}

function title(name: string): HTMLElement[] {
  if (name.length <= longName) return [h('div', { class: 'tooltip-name' }, name)];
  const { scope, base } = nameParts(name);
  return [h('div', { class: 'tooltip-name' }, scope + base), h('div', { class: 'tooltip-long' }, name)];
}

// What a screen reader says of a node.
export function describe(layout: Layout, node: number): string {
  const { graph } = layout;
  const total = graph.nodes.total[node];
  return (
    `${nameOf(layout, node)}: total ${formatValue(total, graph.unit)}, ${formatShare(total / (graph.total || 1))}; ` +
    `self ${formatValue(graph.nodes.self[node], graph.unit)}`
  );
}
