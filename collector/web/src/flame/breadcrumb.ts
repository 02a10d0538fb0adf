// SPDX-License-Identifier: Apache-2.0
// The way from the root to the zoomed function above the graph: each part zooms back to it.
import { fill, h } from '../dom.ts';
import { nameOf, pathTo, type Layout } from './layout.ts';
import { forms } from './names.ts';

const shown = 4; // beside the root; a deep path is cut in its middle

export class Breadcrumb {
  readonly element = h('nav', { class: 'breadcrumb', 'aria-label': 'Zoomed path', hidden: true });

  constructor(private readonly zoomTo: (node: number) => void) {}

  show(layout: Layout, zoom: number): void {
    this.element.hidden = zoom <= 0;
    if (zoom <= 0) return;
    const path = pathTo(layout, zoom);
    const parts: (Node | string)[] = [this.part(layout, path[0], 'All')];
    const rest = path.slice(1);
    if (rest.length > shown) parts.push(h('span', { class: 'crumb-gap', title: `${rest.length - shown} more` }, '…'));
    for (const node of rest.slice(-shown))
      parts.push(this.part(layout, node, shortest(nameOf(layout, node)), node === zoom));
    const spaced = parts.flatMap((part, at) =>
      at ? [h('span', { class: 'crumb-arrow', 'aria-hidden': 'true' }, '›'), part] : [part],
    );
    const reset = h(
      'button',
      {
        class: 'button small',
        type: 'button',
        title: 'Back to the whole graph (Escape)',
        on: { click: () => this.zoomTo(0) },
      },
      'Reset zoom',
    );
    fill(this.element, h('span', { class: 'crumbs' }, ...spaced), reset);
  }

  private part(layout: Layout, node: number, text: string, last = false): HTMLElement {
    if (last) return h('span', { class: 'crumb current', 'aria-current': 'true', title: nameOf(layout, node) }, text);
    return h(
      'button',
      { class: 'crumb', type: 'button', title: nameOf(layout, node), on: { click: () => this.zoomTo(node) } },
      text,
    );
  }
}

function shortest(name: string): string {
  const all = forms(name);
  return all[all.length - 1];
}
