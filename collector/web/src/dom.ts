// SPDX-License-Identifier: Apache-2.0
// Elements in one expression. Text always goes in as text nodes: names of functions and labels come from
// profiled programs and may hold markup.

type Child = Node | string | null | false | undefined;
type Listeners = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
interface Props {
  on?: Listeners;
  [attribute: string]: string | number | boolean | Listeners | undefined;
}

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === 'on' || value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  if (props.on) listen(element, props.on);
  append(element, ...children);
  return element;
}

export function append(parent: Node, ...children: Child[]): void {
  for (const child of children) {
    if (child) parent.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
  }
}

export function fill(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  append(parent, ...children);
}

// Through a table, so that an element that stays can be given the listeners of a newer one.
const listeners = new WeakMap<Element, Listeners>();

function listen(element: Element, on: Listeners): void {
  listeners.set(element, on);
  for (const type of Object.keys(on)) element.addEventListener(type, dispatch);
}

function dispatch(event: Event): void {
  const on = listeners.get(event.currentTarget as Element) as Record<string, (event: Event) => void> | undefined;
  on?.[event.type]?.(event);
}

// Like fill(), but what is there already stays and is only brought up to date: it keeps the focus, and a click
// that has begun. Children are told apart by `data-key`, those without one by their place.
export function update(parent: Element, ...children: Child[]): void {
  const focused = document.activeElement;
  const fresh = document.createDocumentFragment();
  append(fresh, ...children);
  morphChildren(parent, fresh);
  // An element that was moved has lost it.
  if (focused instanceof HTMLElement && focused !== document.activeElement && parent.contains(focused))
    focused.focus({ preventScroll: true });
}

const keyOf = (node: Node) => (node instanceof HTMLElement ? (node.dataset.key ?? '') : '');

function morphChildren(parent: Element, fresh: Node): void {
  const keyed = new Map([...parent.childNodes].map((node) => [keyOf(node), node]));
  keyed.delete('');
  let at: Node | null = parent.firstChild;
  for (const node of [...fresh.childNodes]) {
    const key = keyOf(node);
    const old: Node | null = key ? (keyed.get(key) ?? null) : at;
    if (!old || old.nodeName !== node.nodeName || keyOf(old) !== key) {
      parent.insertBefore(node, at);
      continue;
    }
    if (old === at) at = at.nextSibling;
    else parent.insertBefore(old, at);
    if (old instanceof Element) morphElement(old, node as Element);
    else if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  }
  while (at) {
    const next: Node | null = at.nextSibling;
    at.parentNode?.removeChild(at);
    at = next;
  }
}

function morphElement(old: Element, fresh: Element): void {
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) === value) continue;
    // The page's policy forbids the attribute, not the property.
    if (name === 'style') (old as HTMLElement).style.cssText = (fresh as HTMLElement).style.cssText;
    else old.setAttribute(name, value);
  }
  const on = listeners.get(fresh);
  if (on) listen(old, on);
  morphChildren(old, fresh);
}

const paths: Record<string, string> = {
  chevron: 'M4 6l4 4 4-4',
  left: 'M10 3L5 8l5 5',
  right: 'M6 3l5 5-5 5',
  close: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  search: 'M7 2.500a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9zM10.5 10.500L14 14',
  download: 'M8 2v8M4.5 7L8 10.5 11.5 7M3 13.500h10',
  refresh: 'M13 8a5 5 0 1 1-1.5-3.600M13 2v3h-3',
  link: 'M6.5 9.500l3-3M7 4.500l1.5-1.500a3 3 0 0 1 4.5 4.500L11.5 9M9 11.500L7.5 13A3 3 0 0 1 3 8.500L4.5 7',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3.200l2.200 1.5',
  up: 'M8 13V3M4 7l4-4 4 4',
  down: 'M8 3v10M4 9l4 4 4-4',
  moon: 'M13 9.500A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.500z',
  out: 'M10.5 10.500L14 14M4.5 7h5M7 2.500a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9z',
  copy: 'M5.5 5.5h7v7h-7zM3.5 10.5v-7h7',
  check: 'M3 8.500l3.5 3.500L13 4.5',
};

export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', paths[name]);
  svg.append(path);
  return svg;
}
