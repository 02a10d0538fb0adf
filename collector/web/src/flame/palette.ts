// SPDX-License-Identifier: Apache-2.0
// Colours of the flame graph. A function has the same colour in every graph: its name's hash picks one of
// twenty hues of nearly equal lightness (OKLCH 0.82–0.86 light, 0.41–0.46 dark, chroma 0.05–0.07), so no box
// shouts and every label has a contrast of at least 6 : 1 (palette_test.ts). Pure.
import type { Theme } from '../theme.ts';

export interface FlameColors {
  background: string;
  fills: string[];
  otherText: string;
  other: string; // (other), and runs of boxes too narrow to see
  root: string;
  text: string;
  match: string;
  matchText: string;
  dimmed: string; // while searching: what doesn't match
  dimmedText: string;
}

export const flameColors: Record<Theme, FlameColors> = {
  light: {
    background: '#ffffff',
    fills: [
      '#e8b6b5',
      '#f4c5b6',
      '#e8b999',
      '#edcb9e',
      '#d4c390',
      '#d3d6a1',
      '#b7cd9d',
      '#b4deb6',
      '#9ad3b8',
      '#9de1d4',
      '#8dd2d6',
      '#9cddf0',
      '#98ccec',
      '#b2d4ff',
      '#b4c2f2',
      '#d0cafd',
      '#d1b9e8',
      '#e6c4e6',
      '#e0b6cd',
      '#f3c2ce',
    ],
    other: '#d5d9e0',
    otherText: '#3d4552',
    root: '#dfe3ea',
    text: '#1b202a',
    match: '#ffb224',
    matchText: '#251a00',
    dimmed: '#eceef2',
    dimmedText: '#5a6372',
  },
  dark: {
    background: '#12151b',
    fills: [
      '#724c4c',
      '#634036',
      '#734f35',
      '#5e4521',
      '#64572d',
      '#4c4d23',
      '#4e5f39',
      '#335336',
      '#34634f',
      '#1a554d',
      '#266266',
      '#1a5261',
      '#335d76',
      '#324c6b',
      '#4c567b',
      '#4a446a',
      '#624f73',
      '#59405a',
      '#6d4c5f',
      '#623e48',
    ],
    other: '#3a414d',
    otherText: '#d3d9e2',
    root: '#2d333e',
    text: '#f1f3f7',
    match: '#f5a524',
    matchText: '#1f1500',
    dimmed: '#20252e',
    dimmedText: '#98a2b3',
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
  return names.map((name) =>
    name === otherName ? colors.other : colors.fills[(hashName(name) >>> 8) % colors.fills.length],
  );
}
