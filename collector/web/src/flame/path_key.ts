// SPDX-License-Identifier: Apache-2.0
// A short key of a node's path of names, so that a link finds the zoomed node again in another range or after
// a refresh, where indexes differ. 53 bits: among 100 000 paths two share a key once in two million graphs. Pure.
import type { Layout } from './layout.ts';

const prime = 2654435761;

function mixText(seed: number, text: string): number {
  let hash = seed;
  for (let at = 0; at < text.length; ++at) hash = Math.imul(hash ^ text.charCodeAt(at), prime);
  hash = Math.imul(hash ^ (hash >>> 16), 2246822507);
  return (hash ^ (hash >>> 13)) >>> 0;
}

interface Hashes {
  low: Uint32Array;
  high: Uint32Array;
}

// A path's hash is made of its parent's and its own name's, so one pass serves all nodes.
function hashes(layout: Layout): Hashes {
  const { name, parent } = layout.graph.nodes;
  const nameHash = layout.graph.names.map((text) => mixText(0x9e3779b9, text));
  const low = new Uint32Array(name.length);
  const high = new Uint32Array(name.length);
  for (let node = 1; node < name.length; ++node) {
    const own = nameHash[name[node]];
    const above = parent[node];
    low[node] = mixNumber(low[above] ^ own);
    high[node] = mixNumber((high[above] + own) ^ 0x85ebca6b);
  }
  return { low, high };
}

function mixNumber(value: number): number {
  let hash = Math.imul(value ^ (value >>> 15), 2246822507);
  hash = Math.imul(hash ^ (hash >>> 13), 3266489909);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function keyOf({ low, high }: Hashes, node: number): string {
  return ((high[node] & 0x1fffff) * 2 ** 32 + low[node]).toString(36);
}

// The root's key is empty: nothing is zoomed.
export function pathKey(layout: Layout, node: number): string {
  return node <= 0 ? '' : keyOf(hashes(layout), node);
}

// -1 when no node has that path.
export function findPath(layout: Layout, key: string): number {
  if (key === '') return 0;
  const all = hashes(layout);
  for (let node = 1; node < layout.row.length; ++node) if (keyOf(all, node) === key) return node;
  return -1;
}
