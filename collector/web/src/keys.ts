// SPDX-License-Identifier: Apache-2.0
// The keyboard map: one table for what keys do and for the help that `?` shows.
import { h, icon } from './dom.ts';

export interface Binding {
  key: string; // KeyboardEvent.key
  shown: string;
  text: string;
  act(): void;
}

// Keys that other parts handle themselves; they are in the help only.
const elsewhere: [string, string][] = [
  ['← ↑ ↓ →', 'Move in the flame graph'],
  ['Enter', 'Zoom to the function'],
  ['c', 'Copy the function’s name (in the flame graph)'],
];

export class Keys {
  readonly dialog: HTMLDialogElement;

  constructor(private readonly bindings: Binding[]) {
    const row = (shown: string, text: string) =>
      h('tr', {}, h('th', { scope: 'row' }, h('kbd', {}, shown)), h('td', {}, text));
    this.dialog = h(
      'dialog',
      { class: 'help', 'aria-label': 'Keyboard map' },
      h(
        'div',
        { class: 'help-head' },
        h('h2', {}, 'Keyboard'),
        h(
          'button',
          { type: 'button', class: 'button square', 'aria-label': 'Close', on: { click: () => this.dialog.close() } },
          icon('close'),
        ),
      ),
      h(
        'table',
        {},
        h(
          'tbody',
          {},
          ...elsewhere.map(([shown, text]) => row(shown, text)),
          ...bindings.map(({ shown, text }) => row(shown, text)),
          row('?', 'This help'),
        ),
      ),
    );
    this.dialog.addEventListener('click', (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    document.addEventListener('keydown', (event) => this.key(event));
  }

  help(): void {
    if (!this.dialog.open) this.dialog.showModal();
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || this.dialog.open || isTyping(event.target)) return;
    if (event.key === '?') this.help();
    else {
      const binding = this.bindings.find(({ key }) => key === event.key);
      if (!binding) return;
      binding.act();
    }
    event.preventDefault();
  }
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable]');
}
