// SPDX-License-Identifier: Apache-2.0
// A list of options with a field that narrows it: the ARIA combobox pattern. Services, labels and their values use it.
import { fill, h, icon } from './dom.ts';

export interface Option {
  value: string;
  text: string;
  detail?: string;
}

const most = 200; // rows at once; typing narrows further
let lists = 0;

export class OptionList {
  readonly element: HTMLElement;
  private readonly field: HTMLInputElement;
  private readonly id = `options-${++lists}`;
  private readonly list: HTMLElement;
  private options: Option[] = [];
  private shown: Option[] = [];
  private current = '';
  private active = 0;

  constructor(
    label: string,
    private readonly pick: (value: string) => void,
  ) {
    this.list = h('ul', { class: 'option-list', role: 'listbox', id: this.id, 'aria-label': label });
    this.field = h('input', {
      class: 'field',
      type: 'text',
      placeholder: label,
      role: 'combobox',
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-label': label,
      'aria-expanded': 'true',
      'aria-controls': this.id,
      'aria-autocomplete': 'list',
      on: { input: () => this.narrow(), keydown: (event) => this.key(event) },
    });
    this.element = h('div', { class: 'options' }, this.field, this.list);
  }

  show(options: Option[], current: string): void {
    this.options = options;
    this.current = current;
    this.field.value = '';
    this.narrow();
    this.field.focus();
  }

  message(text: string): void {
    this.options = [];
    fill(this.list, h('li', { class: 'option-note' }, text));
  }

  private narrow(): void {
    const typed = this.field.value.toLowerCase();
    this.shown = this.options.filter(({ text }) => text.toLowerCase().includes(typed)).slice(0, most);
    this.active = Math.max(
      0,
      this.shown.findIndex(({ value }) => value === this.current),
    );
    this.render();
  }

  private render(): void {
    const rows = this.shown.map(({ value, text, detail }, at) =>
      h(
        'li',
        {
          role: 'option',
          id: `${this.id}-${at}`,
          class: at === this.active ? 'option active' : 'option',
          'aria-selected': String(value === this.current),
          on: { click: () => this.pick(value), mousemove: () => this.activate(at) },
        },
        h('span', { class: 'option-text', title: text }, text),
        detail ? h('span', { class: 'option-detail' }, detail) : null,
        value === this.current ? icon('check') : null,
      ),
    );
    fill(this.list, ...(rows.length ? rows : [h('li', { class: 'option-note' }, 'Nothing matches')]));
    this.activate(this.active);
  }

  private activate(at: number): void {
    this.active = at;
    const rows = this.list.querySelectorAll('[role=option]');
    rows.forEach((row, index) => row.classList.toggle('active', index === at));
    this.field.setAttribute('aria-activedescendant', rows.length ? `${this.id}-${at}` : '');
  }

  private key(event: KeyboardEvent): void {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step && this.shown.length) {
      this.activate((this.active + step + this.shown.length) % this.shown.length);
      this.list.children[this.active]?.scrollIntoView({ block: 'nearest' });
      event.preventDefault();
    } else if (event.key === 'Enter' && this.shown[this.active]) {
      event.preventDefault();
      this.pick(this.shown[this.active].value);
    }
  }
}
