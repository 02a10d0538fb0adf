// SPDX-License-Identifier: Apache-2.0
// Moving through a flame graph by keyboard: up to the caller, down to the largest callee, sideways within the row. Pure.
import { nodeAt, rowCount, type Layout } from './layout.ts';

export type Step = 'ArrowUp' | 'ArrowDown' | 'ArrowLeft' | 'ArrowRight';

export function isStep(key: string): key is Step {
  return key === 'ArrowUp' || key === 'ArrowDown' || key === 'ArrowLeft' || key === 'ArrowRight';
}

// Where the step leads; the node itself where there is nothing that way.
export function walk(layout: Layout, node: number, step: Step): number {
  const row = layout.row[node];
  if (step === 'ArrowUp') return row > 0 ? layout.graph.nodes.parent[node] : node;
  if (step === 'ArrowDown') {
    // A node's first child starts where it does; another node's child can't, unless this one has none.
    const below = row + 1 < rowCount(layout) ? nodeAt(layout, row + 1, layout.start[node]) : -1;
    return below >= 0 && layout.graph.nodes.parent[below] === node ? below : node;
  }
  const place = placeOf(layout, node) + (step === 'ArrowRight' ? 1 : -1);
  const inRow = place >= layout.rowStart[row] && place < layout.rowStart[row + 1];
  return inRow ? layout.rowNodes[place] : node;
}

// A row's nodes rise by index, as they come depth first.
function placeOf(layout: Layout, node: number): number {
  let low = layout.rowStart[layout.row[node]];
  let high = layout.rowStart[layout.row[node] + 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (layout.rowNodes[middle] < node) low = middle + 1;
    else high = middle;
  }
  return low;
}
