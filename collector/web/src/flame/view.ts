// SPDX-License-Identifier: Apache-2.0
// The flame graph's element: a canvas as large as what is in sight, kept in place inside a box that scrolls
// (a canvas of the graph's full height fails beyond about 32 000 pixels). Zoom and search live in the URL and
// come in by calls; clicks go out through FlameHost.
import type { FlameGraph } from '../api.ts';
import { h } from '../dom.ts';
import { currentTheme } from '../theme.ts';
import { Breadcrumb } from './breadcrumb.ts';
import { boxOf, hit, paint, rowHeight, type Picture } from './draw.ts';
import { LabelFitter } from './labels.ts';
import { buildLayout, nameOf, rowCount, type Layout } from './layout.ts';
import { fillsOf, flameColors } from './palette.ts';
import { findPath, pathKey } from './path_key.ts';
import { findMatches, type Matches, type Pattern } from './search.ts';
import { describe, Tooltip } from './tooltip.ts';
import { isStep, walk } from './walk.ts';

export interface FlameHost {
  zoomed(key: string): void;
  copyName(name: string): void;
}

export class FlameView {
  readonly element: HTMLElement;
  matches: Matches | null = null;
  private readonly canvas = h('canvas', {
    class: 'flame-canvas',
    tabindex: 0,
    role: 'application',
    'aria-roledescription': 'flame graph',
    'aria-label': 'Flame graph. Arrow keys move, Enter zooms, Escape resets, question mark lists all keys.',
  });
  // Around the function under the pointer; an element, so that moving the pointer repaints nothing.
  private readonly outline = h('div', { class: 'flame-outline', hidden: true });
  private readonly spacer = h('div', { class: 'flame-spacer' }, this.canvas, this.outline);
  private readonly scroller = h('div', { class: 'flame-scroll' }, this.spacer);
  private readonly spoken = h('div', { class: 'visually-hidden', 'aria-live': 'polite' });
  private readonly tooltip = new Tooltip();
  private readonly breadcrumb = new Breadcrumb((node) => this.zoomTo(node));
  private readonly context = this.canvas.getContext('2d', { alpha: false })!;
  private readonly font = `12px ${getComputedStyle(document.documentElement).getPropertyValue('--font')}`;
  private readonly fitter = new LabelFitter((text) => this.context.measureText(text).width);
  private picture: Picture | null = null;
  private cursor = 0; // where the keyboard is
  private hover = -1;
  private queued = false;

  constructor(private readonly host: FlameHost) {
    this.element = h('div', { class: 'flame' }, this.breadcrumb.element, this.scroller, this.spoken);
    document.body.append(this.tooltip.element);
    this.context.font = this.font;
    new ResizeObserver(() => this.resize()).observe(this.scroller);
    this.scroller.addEventListener('scroll', () => this.redraw(), { passive: true });
    this.canvas.addEventListener('mousemove', (event) => this.point(event));
    this.canvas.addEventListener('mouseleave', () => this.leave());
    this.canvas.addEventListener('click', (event) => this.click(event));
    this.canvas.addEventListener('keydown', (event) => this.key(event));
  }

  get layout(): Layout | null {
    return this.picture?.layout ?? null;
  }

  show(graph: FlameGraph | null, zoom: string, pattern: Pattern): void {
    const layout = graph && buildLayout(graph);
    this.matches = null;
    this.leave();
    this.cursor = 0;
    if (!layout) {
      this.picture = null;
      this.redraw();
      return;
    }
    const colors = flameColors[currentTheme()];
    this.picture = {
      layout,
      zoom: 0,
      width: 0,
      height: 0,
      scrollTop: 0,
      ratio: 1,
      colors,
      matched: null,
      fills: fillsOf(layout.graph.names, colors),
    };
    this.canvas.dataset.nodes = String(layout.row.length);
    this.spacer.style.height = `${rowCount(layout) * rowHeight}px`;
    this.setZoom(zoom);
    this.setPattern(pattern);
    this.resize();
  }

  // A path that this range doesn't have shows the whole graph; the link keeps it for when it is back.
  setZoom(key: string): void {
    if (!this.picture) return;
    this.picture.zoom = Math.max(0, findPath(this.picture.layout, key));
    this.cursor = this.picture.zoom;
    this.breadcrumb.show(this.picture.layout, this.picture.zoom);
    this.redraw();
  }

  setPattern(pattern: Pattern | null): void {
    if (!this.picture) return;
    const matches = pattern && findMatches(this.picture.layout, pattern);
    this.matches = matches;
    this.picture.matched = matches && matches.names;
    this.redraw();
  }

  setTheme(): void {
    if (!this.picture) return;
    const colors = flameColors[currentTheme()];
    this.picture = { ...this.picture, colors, fills: fillsOf(this.picture.layout.graph.names, colors) };
    this.redraw();
  }

  // Shows a node: scrolled into sight, and wide enough to read, if need be by zooming to a caller.
  reveal(node: number): void {
    const picture = this.picture;
    if (!picture) return;
    const { layout } = picture;
    const box = boxOf(picture, node);
    if (box.width < 24 || box.x < 0 || box.x >= picture.width) {
      const enough = layout.graph.nodes.total[node] * (picture.width / 24);
      let above = node;
      while (above > 0 && layout.graph.nodes.total[layout.graph.nodes.parent[above]] <= enough)
        above = layout.graph.nodes.parent[above];
      this.zoomTo(above);
    }
    this.moveTo(node);
  }

  zoomTo(node: number): void {
    if (this.picture) this.host.zoomed(pathKey(this.picture.layout, node));
  }

  focus(): void {
    this.canvas.focus();
  }

  private moveTo(node: number): void {
    const picture = this.picture;
    if (!picture) return;
    this.cursor = node;
    const top = picture.layout.row[node] * rowHeight;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    if (top + rowHeight > scrollTop + clientHeight) this.scroller.scrollTop = top + rowHeight - clientHeight;
    this.hover = node;
    this.spoken.textContent = describe(picture.layout, node);
    this.redraw();
  }

  private click(event: MouseEvent): void {
    const node = this.under(event);
    if (node < 0) return;
    this.zoomTo(node);
    this.tooltip.hide();
  }

  private key(event: KeyboardEvent): void {
    const picture = this.picture;
    if (!picture || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isStep(event.key)) this.step(walk(picture.layout, this.cursor, event.key));
    else if (event.key === 'Enter') this.zoomTo(this.cursor);
    else if (event.key === 'c') this.host.copyName(nameOf(picture.layout, this.cursor));
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  private step(node: number): void {
    const picture = this.picture;
    if (!picture) return;
    this.moveTo(node);
    const box = this.canvas.getBoundingClientRect();
    const at = boxOf({ ...picture, scrollTop: this.scroller.scrollTop }, node);
    const x = box.left + Math.min(picture.width - 1, Math.max(0, at.x));
    this.tooltip.show(picture.layout, node, picture.zoom, x, box.top + at.y + rowHeight);
  }

  private under(event: MouseEvent): number {
    if (!this.picture) return -1;
    const box = this.canvas.getBoundingClientRect();
    return hit(
      { ...this.picture, scrollTop: this.scroller.scrollTop },
      event.clientX - box.left,
      event.clientY - box.top,
    );
  }

  private point(event: MouseEvent): void {
    const node = this.under(event);
    if (node < 0 || !this.picture) return this.leave();
    this.canvas.classList.add('pointing');
    this.tooltip.show(this.picture.layout, node, this.picture.zoom, event.clientX, event.clientY);
    if (node !== this.hover) {
      this.hover = node;
      this.cursor = node;
      this.showOutline();
    }
  }

  private leave(): void {
    this.canvas.classList.remove('pointing');
    this.tooltip.hide();
    this.hover = -1;
    this.showOutline();
  }

  private resize(): void {
    const { clientWidth, clientHeight } = this.scroller;
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(clientWidth * ratio);
    this.canvas.height = Math.round(clientHeight * ratio);
    this.canvas.style.width = `${clientWidth}px`;
    this.canvas.style.height = `${clientHeight}px`;
    if (this.picture) Object.assign(this.picture, { width: clientWidth, height: clientHeight });
    // At once: a canvas that was resized is blank until it is painted.
    this.paintNow();
  }

  private redraw(): void {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.paintNow();
    });
  }

  private paintNow(): void {
    const { context, picture } = this;
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = this.font;
    context.textBaseline = 'middle';
    if (!picture) {
      context.fillStyle = flameColors[currentTheme()].background;
      context.fillRect(0, 0, this.canvas.width, this.canvas.height);
      return;
    }
    Object.assign(picture, { scrollTop: this.scroller.scrollTop, ratio });
    const start = performance.now();
    const boxes = paint(context, picture, this.fitter);
    this.showOutline();
    // For the browser test's budget.
    Object.assign(this.canvas.dataset, { drawMs: (performance.now() - start).toFixed(2), boxes: String(boxes) });
  }

  private showOutline(): void {
    const { picture, hover } = this;
    const box = picture && hover >= 0 ? boxOf(picture, hover) : null;
    const left = Math.max(0, box?.x ?? 0);
    const right = Math.min(picture?.width ?? 0, box ? box.x + box.width : 0);
    this.outline.hidden = !picture || !box || right <= left;
    if (!picture || !box || this.outline.hidden) return;
    this.outline.style.transform = `translate(${left}px, ${picture.layout.row[hover] * rowHeight}px)`;
    this.outline.style.width = `${Math.max(3, right - left - 1)}px`;
  }
}
