// SPDX-License-Identifier: Apache-2.0
// Where each node of a flame graph is: its row and where on the value axis it starts. Computed once per
// answer; zooming only changes the scale that draw.ts applies. Pure.
import type { FlameGraph } from '../api.ts';

export interface Layout {
  graph: FlameGraph;
  row: Int32Array; // depth of a node, the root 0
  start: Float64Array; // on the value axis, the root at 0
  rowNodes: Int32Array; // nodes by row, from left to right
  rowStart: Int32Array; // where a row begins in rowNodes; one more than there are rows
}

// Throws where the answer isn't what docs/http-api.md promises: parents first, arrays of one length.
export function buildLayout(graph: FlameGraph): Layout {
  const { parent, total, name, self } = graph.nodes;
  const count = parent.length;
  if (total.length !== count || name.length !== count || self.length !== count) {
    throw new Error('The flame graph answer is malformed: its arrays differ in length.');
  }
  const row = new Int32Array(count);
  const start = new Float64Array(count);
  const free = new Float64Array(count); // where a node's next child goes
  let rows = count > 0 ? 1 : 0;
  for (let node = 1; node < count; ++node) {
    const above = parent[node];
    if (above < 0 || above >= node)
      throw new Error('The flame graph answer is malformed: a node comes before its parent.');
    row[node] = row[above] + 1;
    start[node] = free[above];
    free[node] = start[node];
    free[above] += total[node];
    if (row[node] >= rows) rows = row[node] + 1;
  }
  return { graph, row, start, ...byRow(row, rows) };
}

// Counting sort; depth-first order keeps a row's nodes from left to right.
function byRow(row: Int32Array, rows: number): Pick<Layout, 'rowNodes' | 'rowStart'> {
  const rowStart = new Int32Array(rows + 1);
  for (const at of row) ++rowStart[at + 1];
  for (let at = 0; at < rows; ++at) rowStart[at + 1] += rowStart[at];
  const next = rowStart.slice();
  const rowNodes = new Int32Array(row.length);
  for (let node = 0; node < row.length; ++node) rowNodes[next[row[node]]++] = node;
  return { rowNodes, rowStart };
}

export function rowCount(layout: Layout): number {
  return layout.rowStart.length - 1;
}

export function nameOf(layout: Layout, node: number): string {
  return layout.graph.names[layout.graph.nodes.name[node]];
}

// First place in rowNodes, within the row, whose node ends beyond the value.
export function firstInRow(layout: Layout, row: number, value: number): number {
  const { total } = layout.graph.nodes;
  let low = layout.rowStart[row];
  let high = layout.rowStart[row + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    const node = layout.rowNodes[middle];
    if (layout.start[node] + total[node] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The node of the row that covers the value, -1 for none.
export function nodeAt(layout: Layout, row: number, value: number): number {
  if (row < 0 || row >= rowCount(layout)) return -1;
  const place = firstInRow(layout, row, value);
  if (place >= layout.rowStart[row + 1]) return -1;
  const node = layout.rowNodes[place];
  return layout.start[node] <= value ? node : -1;
}

// The node itself or its ancestor in that row.
export function ancestorIn(layout: Layout, node: number, row: number): number {
  let at = node;
  while (layout.row[at] > row) at = layout.graph.nodes.parent[at];
  return at;
}

export function isAncestor(layout: Layout, above: number, node: number): boolean {
  return ancestorIn(layout, node, layout.row[above]) === above;
}

// Root first.
export function pathTo(layout: Layout, node: number): number[] {
  const path: number[] = [];
  for (let at = node; at >= 0; at = layout.graph.nodes.parent[at]) path.push(at);
  return path.reverse();
}
