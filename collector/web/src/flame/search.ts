// SPDX-License-Identifier: Apache-2.0
// Search in function names: which names match, which share of the graph is under them, where the hits are. Pure.
import type { Layout } from './layout.ts';

export interface Pattern {
  test(name: string): boolean;
  exact: boolean; // a whole name in quotes: highlights, doesn't filter the table
  error: string; // why the regular expression is none; then nothing matches
}

export const noPattern: Pattern = { test: () => false, exact: false, error: '' };

// Plain text is looked for without regard to case; "text in quotes" is a whole name.
export function makePattern(search: string, regex: boolean): Pattern {
  if (search === '') return noPattern;
  if (regex) {
    try {
      const expression = new RegExp(search, 'i');
      return { test: (name) => expression.test(name), exact: false, error: '' };
    } catch (error) {
      const reason = (error as Error).message.replace(/^Invalid regular expression: (?:\/.*\/\w*: )?/s, '');
      return { ...noPattern, error: `Not a regular expression: ${reason}` };
    }
  }
  if (search.length > 2 && search.startsWith('"') && search.endsWith('"')) {
    const whole = search.slice(1, -1);
    return { test: (name) => name === whole, exact: true, error: '' };
  }
  const lower = search.toLowerCase();
  return { test: (name) => name.toLowerCase().includes(lower), exact: false, error: '' };
}

export interface Matches {
  names: Uint8Array; // 1 for a name that matches
  hits: number[]; // matching nodes that no other match is above, from left to right
  total: number; // their values; nothing counts twice
}

export function findMatches(layout: Layout, pattern: Pattern): Matches {
  const { names, nodes } = layout.graph;
  const matching = Uint8Array.from(names, (name) => (pattern.test(name) ? 1 : 0));
  const under = new Uint8Array(nodes.parent.length);
  const hits: number[] = [];
  let total = 0;
  // Node 0 is named after the service and is no function.
  for (let node = 1; node < nodes.parent.length; ++node) {
    const above = under[nodes.parent[node]];
    under[node] = above | matching[nodes.name[node]];
    if (above || !under[node]) continue;
    hits.push(node);
    total += nodes.total[node];
  }
  return { names: matching, hits, total };
}
