// SPDX-License-Identifier: Apache-2.0
// Shorter forms of a function's name, for boxes that are too narrow for the whole: without parameters,
// without template arguments, the last component. The full name is always in the tooltip. Pure.

const openOf: Record<string, string> = { ')': '(', '>': '<', '}': '{', ']': '[' };

// Brackets that open nothing: operator<, operator->, operator() and their kin, Python's <locals> and <lambda>.
// They stand in as private characters while the others are matched.
const unpaired = /operator\s*(?:\(\)|<=>|<<=?|>>=?|->\*?|<=?|>=?)|(?<=^|\.)<\w+>/g;

function shield(name: string): string {
  return name.replace(unpaired, (text) =>
    text.replace(/[<>()]/g, (c) => String.fromCharCode(0xe000 + c.charCodeAt(0))),
  );
}

function unshield(name: string): string {
  return name.replace(/[\ue000-\ue0ff]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xe000));
}

// Where the bracket opens that closes at `end`; -1 where none does.
function openingOf(name: string, end: number): number {
  const open = openOf[name[end]];
  let depth = 0;
  for (let at = end; at >= 0; --at) {
    if (name[at] === name[end]) ++depth;
    else if (name[at] === open && --depth === 0) return at;
  }
  return -1;
}

function dropParameters(name: string): string {
  const bare = name.replace(/(?: const| volatile| &&?| noexcept| \[[^\]]*\])+$/, '');
  if (!bare.endsWith(')')) return name;
  const open = openingOf(bare, bare.length - 1);
  return open > 0 && bare.slice(0, open).trim() !== '' && !bare.endsWith('::', open) ? bare.slice(0, open) : name;
}

function dropTemplates(name: string): string {
  let kept = '';
  let depth = 0;
  for (const character of name) {
    if (character === '<') ++depth;
    else if (character === '>' && depth > 0) --depth;
    else if (depth === 0) kept += character;
  }
  return depth === 0 && kept.trim() !== '' ? kept : name;
}

// After the last :: or, in Python's and Java's names, the last dot, outside of brackets.
function lastComponent(name: string): string {
  let depth = 0;
  for (let at = name.length - 1; at > 0; --at) {
    const character = name[at];
    if (')>}]'.includes(character)) ++depth;
    else if ('(<{['.includes(character)) --depth;
    else if (depth === 0 && character === ':' && name[at - 1] === ':') return name.slice(at + 1);
    else if (depth === 0 && character === '.' && !name.includes('::') && /^[\w.\ue000-\ue0ff]+$/.test(name))
      return name.slice(at + 1);
  }
  return name;
}

// From the longest to the shortest, the full name first.
export function forms(name: string): string[] {
  const plain = dropParameters(shield(name));
  const bare = dropTemplates(plain);
  const all = [name, unshield(plain), unshield(bare), unshield(lastComponent(bare))];
  return all.filter((form, at) => form !== '' && all.indexOf(form) === at);
}

// The name in parts, for a table's cell: it may shorten the outer ones and keep the base.
export function nameParts(name: string): { scope: string; base: string; parameters: string } {
  const shielded = shield(name);
  const plain = dropParameters(shielded);
  const bare = dropTemplates(plain);
  const base = lastComponent(bare);
  return {
    scope: unshield(bare.slice(0, bare.length - base.length)),
    base: unshield(base),
    parameters: unshield(shielded.slice(plain.length)),
  };
}
