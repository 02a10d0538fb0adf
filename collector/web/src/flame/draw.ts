// SPDX-License-Identifier: Apache-2.0
// Paints the rows of a flame graph that are in sight. Touches nothing but the context that it is given; the
// cost goes with the pixels in sight, not with the nodes: rows out of sight are skipped, a row is entered by
// binary search, and boxes below half a pixel are merged into one grey run.
import { ancestorIn, firstInRow, nodeAt, type Layout } from './layout.ts';
import type { LabelFitter } from './labels.ts';
import { otherName, type FlameColors } from './palette.ts';

export const rowHeight = 21;
const narrowest = 0.5; // pixels, below it a box is merged into a run
const labelled = 26; // pixels, below it a box has no label

export interface Picture {
  layout: Layout;
  zoom: number; // the node that fills the width
  width: number; // CSS pixels, as all that follows
  height: number;
  scrollTop: number;
  ratio: number; // device pixels in a CSS pixel
  colors: FlameColors;
  fills: string[]; // by name index
  matched: Uint8Array | null; // by name index; null while nothing is searched
}

export interface Scale {
  origin: number; // the value at the left edge
  perPixel: number;
}

export function scaleOf({ layout, zoom, width }: Pick<Picture, 'layout' | 'zoom' | 'width'>): Scale {
  const span = layout.graph.nodes.total[zoom] || 1;
  return { origin: layout.start[zoom], perPixel: span / Math.max(1, width) };
}

// The node under a point of the canvas, -1 for none.
export function hit(picture: Picture, x: number, y: number): number {
  const { layout, zoom } = picture;
  const row = Math.floor((y + picture.scrollTop) / rowHeight);
  if (row < 0) return -1;
  if (row <= layout.row[zoom]) return ancestorIn(layout, zoom, row);
  const { origin, perPixel } = scaleOf(picture);
  return nodeAt(layout, row, origin + x * perPixel);
}

export function boxOf(picture: Picture, node: number): { x: number; y: number; width: number } {
  const { layout, zoom } = picture;
  const y = layout.row[node] * rowHeight - picture.scrollTop;
  if (layout.row[node] <= layout.row[zoom]) return { x: 0, y, width: picture.width };
  const { origin, perPixel } = scaleOf(picture);
  return { x: (layout.start[node] - origin) / perPixel, y, width: layout.graph.nodes.total[node] / perPixel };
}

export function paint(context: CanvasRenderingContext2D, picture: Picture, fitter: LabelFitter): number {
  const { layout, colors, width, height } = picture;
  context.fillStyle = colors.background;
  context.fillRect(0, 0, width, height);
  const first = Math.max(0, Math.floor(picture.scrollTop / rowHeight));
  const last = Math.min(layout.rowStart.length - 2, Math.floor((picture.scrollTop + height) / rowHeight));
  const zoomRow = layout.row[picture.zoom];
  let boxes = 0;
  for (let row = first; row <= last; ++row) {
    if (row <= zoomRow) {
      const node = ancestorIn(layout, picture.zoom, row);
      // Ancestors are faded: they are the way here, not part of what is compared.
      context.globalAlpha = row < zoomRow ? 0.5 : 1;
      box(context, picture, fitter, node, 0, width);
      context.globalAlpha = 1;
      ++boxes;
    } else {
      boxes += paintRow(context, picture, fitter, row);
    }
  }
  return boxes;
}

function paintRow(context: CanvasRenderingContext2D, picture: Picture, fitter: LabelFitter, row: number): number {
  const { layout, zoom } = picture;
  const { total } = layout.graph.nodes;
  const { origin, perPixel } = scaleOf(picture);
  const end = origin + total[zoom];
  let boxes = 0;
  const held: Held = new Map();
  let runStart = -1;
  let runEnd = -1;
  const flush = () => {
    if (runStart >= 0) run(context, picture, row, runStart, runEnd);
    runStart = -1;
  };
  for (let place = firstInRow(layout, row, origin); place < layout.rowStart[row + 1]; ++place) {
    const node = layout.rowNodes[place];
    if (layout.start[node] >= end) break;
    const x = (layout.start[node] - origin) / perPixel;
    const w = total[node] / perPixel;
    if (w < narrowest) {
      // A gap of a pixel or more ends a run: it must not look as if something were there.
      if (runStart >= 0 && x - runEnd >= 1) flush();
      if (runStart < 0) runStart = x;
      runEnd = x + w;
      continue;
    }
    flush();
    if (w < labelled) hold(picture, held, node, x, w);
    else box(context, picture, fitter, node, x, w);
    ++boxes;
  }
  flush();
  release(context, picture, held, row);
  return boxes;
}

// Boxes without a label wait until their row's end and are painted by colour: where thousands of them are in
// sight, a change of colour for each is a fifth of the time.
type Held = Map<string, number[]>;

function hold(picture: Picture, held: Held, node: number, x: number, width: number): void {
  const fill = fillOf(picture, node);
  const edges = held.get(fill);
  if (edges) edges.push(x, x + width);
  else held.set(fill, [x, x + width]);
}

function release(context: CanvasRenderingContext2D, picture: Picture, held: Held, row: number): void {
  const y = row * rowHeight - picture.scrollTop;
  for (const [fill, edges] of held) {
    context.fillStyle = fill;
    for (let at = 0; at < edges.length; at += 2) rectangle(context, picture, edges[at], edges[at + 1], y);
  }
}

function fillOf({ layout, colors, matched, fills }: Picture, node: number): string {
  const name = layout.graph.nodes.name[node];
  if (matched) return node > 0 && matched[name] === 1 ? colors.match : colors.dimmed;
  return node === 0 ? colors.root : fills[name];
}

// Edges lie on device pixels, so that they are crisp. One pixel between neighbours, where there is room for it.
function rectangle(context: CanvasRenderingContext2D, { ratio }: Picture, x: number, end: number, y: number): void {
  const left = Math.round(x * ratio) / ratio;
  const right = Math.round(end * ratio) / ratio;
  context.fillRect(left, y, end - x >= 3 ? right - left - 1 : right - left, rowHeight - 1);
}

function run(context: CanvasRenderingContext2D, picture: Picture, row: number, start: number, end: number): void {
  if (end - start < narrowest) return;
  context.fillStyle = picture.matched ? picture.colors.dimmed : picture.colors.other;
  context.fillRect(start, row * rowHeight - picture.scrollTop, end - start, rowHeight - 1);
}

function box(
  context: CanvasRenderingContext2D,
  picture: Picture,
  fitter: LabelFitter,
  node: number,
  x: number,
  width: number,
): void {
  const { layout, colors, matched } = picture;
  const name = layout.graph.nodes.name[node];
  const found = matched !== null && node > 0 && matched[name] === 1;
  const y = layout.row[node] * rowHeight - picture.scrollTop;
  context.fillStyle = fillOf(picture, node);
  rectangle(context, picture, x, x + width, y);
  if (width < labelled) return;
  const left = Math.max(0, x);
  const room = Math.min(picture.width, x + width) - left - 9;
  const label = fitter.fit(layout.graph.names[name], room);
  if (!label) return;
  const plain = layout.graph.names[name] === otherName ? colors.otherText : colors.text;
  context.fillStyle = found ? colors.matchText : matched ? colors.dimmedText : plain;
  context.fillText(label, left + 4, y + rowHeight / 2);
}
