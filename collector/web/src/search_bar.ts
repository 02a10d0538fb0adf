// SPDX-License-Identifier: Apache-2.0
// The search field over flame graph and table: plain or regular expression, matched share, previous and next hit.
import { h, icon } from './dom.ts';
import { formatShare } from './units.ts';
import type { Router } from './router.ts';
import type { State } from './state.ts';

export interface SearchHost {
  jump(direction: -1 | 1): void;
}

export class SearchBar {
  readonly element: HTMLElement;
  private readonly field = h('input', {
    class: 'search-field',
    type: 'search',
    placeholder: 'Search functions ( / )',
    'aria-label': 'Search functions',
    autocomplete: 'off',
    spellcheck: 'false',
    on: { input: () => this.typed(), keydown: (event) => this.key(event) },
  });
  private readonly regex = h(
    'button',
    {
      type: 'button',
      class: 'search-toggle',
      title: 'Regular expression',
      'aria-label': 'Regular expression',
      on: { click: () => this.router.replace({ regex: !this.router.state.regex }) },
    },
    '.*',
  );
  private readonly badge = h('output', { class: 'badge', hidden: true });
  private readonly error = h('div', { class: 'search-error', role: 'alert', hidden: true });
  private readonly steps: HTMLElement;

  constructor(
    private readonly router: Router,
    private readonly host: SearchHost,
  ) {
    const step = (name: string, title: string, direction: -1 | 1) =>
      h(
        'button',
        {
          type: 'button',
          class: 'search-step',
          title,
          'aria-label': title,
          on: { click: () => host.jump(direction) },
        },
        icon(name),
      );
    this.steps = h(
      'span',
      { class: 'search-steps', hidden: true },
      step('up', 'Previous match (Shift+N)', -1),
      step('down', 'Next match (N)', 1),
    );
    this.element = h(
      'div',
      { class: 'search', role: 'search' },
      h('div', { class: 'search-box' }, icon('search'), this.field, this.badge, this.steps, this.regex),
      this.error,
    );
  }

  show(state: State, complaint: string): void {
    if (this.field.value !== state.search) this.field.value = state.search;
    this.regex.setAttribute('aria-pressed', String(state.regex));
    this.error.hidden = complaint === '';
    this.error.textContent = complaint;
    this.field.setAttribute('aria-invalid', String(complaint !== ''));
  }

  // share is null while there is nothing to search in or for.
  matched(share: number | null, at: number, hits: number): void {
    this.badge.hidden = share === null;
    this.steps.hidden = share === null || hits === 0;
    if (share === null) return;
    this.badge.textContent = hits === 0 ? 'no match' : `matched ${formatShare(share)}`;
    this.badge.title = hits === 0 ? '' : `${at >= 0 ? `${at + 1} of ` : ''}${hits} places in the flame graph`;
    this.badge.classList.toggle('none', hits === 0);
  }

  focus(): void {
    this.field.focus();
    this.field.select();
  }

  private typed(): void {
    this.router.replace({ search: this.field.value });
  }

  private key(event: KeyboardEvent): void {
    if (event.key === 'Enter') this.host.jump(event.shiftKey ? -1 : 1);
    if (event.key !== 'Escape') return;
    if (this.field.value) this.router.replace({ search: '' });
    else this.field.blur();
    event.stopPropagation();
    event.preventDefault();
  }
}
