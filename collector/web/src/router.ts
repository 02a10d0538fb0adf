// SPDX-License-Identifier: Apache-2.0
// Keeps the state in the address bar: `push` is a step that the back button takes back, `replace` is not
// (typing in the search field). The ranges that drags on the timeline have left wait in history.state.
import { formatState, parseState, type State } from './state.ts';
import type { Range } from './time.ts';

interface Entry {
  outer: Range[]; // ranges around this one, the nearest last
}

export class Router {
  private state_: State = parseState(location.search);
  private readonly listeners: ((state: State, before: State) => void)[] = [];

  constructor() {
    addEventListener('popstate', () => this.become(parseState(location.search)));
  }

  get state(): State {
    return this.state_;
  }

  onChange(listener: (state: State, before: State) => void): void {
    this.listeners.push(listener);
  }

  push(change: Partial<State>, outer: Range[] = this.outer()): void {
    this.write(change, outer, 'pushState');
  }

  replace(change: Partial<State>): void {
    this.write(change, this.outer(), 'replaceState');
  }

  // Into a part of the range, remembering the way back.
  zoomRange(inner: Range): void {
    this.push({ ...inner, live: false }, [...this.outer(), { from: this.state_.from, to: this.state_.to }]);
  }

  // Back out; false when no drag led here.
  leaveRange(): boolean {
    const outer = this.outer();
    const range = outer.pop();
    if (range) this.push(range, outer);
    return range !== undefined;
  }

  private outer(): Range[] {
    const entry = history.state as Partial<Entry> | null;
    return Array.isArray(entry?.outer) ? [...entry.outer] : [];
  }

  private write(change: Partial<State>, outer: Range[], how: 'pushState' | 'replaceState'): void {
    const next = { ...this.state_, ...change };
    const query = formatState(next);
    // A step that changes nothing would need two presses of the back button.
    const same = query === formatState(this.state_);
    const entry: Entry = { outer };
    history[same ? 'replaceState' : how](entry, '', query ? `?${query}` : location.pathname);
    this.become(next);
  }

  private become(next: State): void {
    const before = this.state_;
    this.state_ = next;
    for (const listener of this.listeners) listener(next, before);
  }
}
