// SPDX-License-Identifier: Apache-2.0
// Colours of the flame graph. A function has the same colour in every graph: its name's hash picks one of
// twelve hues of equal lightness (OKLCH 0.83–0.86 light, 0.42–0.45 dark, chroma 0.07), so no box shouts and
// every label has a contrast of at least 6 : 1 (palette_test.ts). Pure.
import type { Theme } from '../theme.ts';

export interface FlameColors {
  background: string;
  fills: string[];
  other: string; // (other), and runs of boxes too narrow to see
  root: string;
  text: string;
  match: string;
  matchText: string;
  dimmed: string; // while searching: what doesn't match
  dimmedText: string;
  outline: string;
}

export const flameColors: Record<Theme, FlameColors> = {
  light: {
    background: '#ffffff',
    fills: ['#f1b7b1', '#f7c5aa', '#e4c191', '#dcd39a', '#b0d3a9', '#a7e0c6', '#93d6d1', '#9ddded', '#9fcef0', '#bbd1ff', '#cabff0', '#ebc1e7'],
    other: '#d5d9e0', root: '#dfe3ea', text: '#1b202a', match: '#ffb224', matchText: '#251a00',
    dimmed: '#eceef2', dimmedText: '#5a6372', outline: '#1b202a',
  },
  dark: {
    background: '#12151b',
    fills: ['#744747', '#68432d', '#69502c', '#554e23', '#435e3d', '#285845', '#24605d', '#1c5662', '#335a74', '#3c4c6f', '#584e74', '#60405d'],
    other: '#3a414d', root: '#2d333e', text: '#f1f3f7', match: '#f5a524', matchText: '#1f1500',
    dimmed: '#20252e', dimmedText: '#98a2b3', outline: '#ffffff',
  },
};

export function hashName(name: string): number {
  let hash = 2166136261;
  for (let at = 0; at < name.length; ++at) hash = Math.imul(hash ^ name.charCodeAt(at), 16777619);
  hash ^= hash >>> 15;
  return Math.imul(hash, 2246822507) >>> 0;
}

export const otherName = '(other)';

// The fill of each name of a graph, by its index.
export function fillsOf(names: string[], colors: FlameColors): string[] {
  return names.map((name) => (name === otherName ? colors.other : colors.fills[(hashName(name) >>> 8) % colors.fills.length]));
}
