// SPDX-License-Identifier: Apache-2.0
// The time range: presets, two fields for an exact range, steps back and forward, live refresh.
import { fill, h, icon } from './dom.ts';
import { Popover } from './popover.ts';
import type { Router } from './router.ts';
import { normalTime, type State } from './state.ts';
import {
  formatMoment,
  isRelative,
  parseTime,
  presets,
  rangeName,
  resolveRange,
  shiftRange,
  widenRange,
} from './time.ts';

const nowS = () => Date.now() / 1000;

export class TimePicker {
  readonly element: HTMLElement;
  private readonly popover = new Popover('Time range', () => this.opened(), 'time-picker');
  private readonly presetList = h('div', { class: 'presets' });
  private readonly from = this.field('From');
  private readonly to = this.field('To');
  private readonly complaint = h('p', { class: 'complaint', role: 'alert', hidden: true });
  private readonly live = h(
    'button',
    {
      type: 'button',
      class: 'button live',
      title: 'Refresh every 10 seconds (l)',
      on: { click: () => this.toggleLive() },
    },
    h('span', { class: 'live-dot', 'aria-hidden': 'true' }),
    'Live',
  );

  constructor(
    private readonly router: Router,
    refresh: () => void,
  ) {
    const apply = h('button', { type: 'submit', class: 'button primary' }, 'Show this range');
    const form = h(
      'form',
      { class: 'exact', novalidate: true, on: { submit: (event) => this.apply(event) } },
      this.from.parentElement,
      this.to.parentElement,
      this.complaint,
      h('p', { class: 'hint' }, '2026-01-31 14:05, now-90m, unix seconds. Local time.'),
      apply,
    );
    this.popover.panel.append(this.presetList, form);
    const button = (name: string, title: string, act: () => void) =>
      h(
        'button',
        { type: 'button', class: 'button square', title, 'aria-label': title, on: { click: act } },
        icon(name),
      );
    this.element = h(
      'div',
      { class: 'time' },
      h(
        'div',
        { class: 'joined' },
        button('left', 'Earlier ( [ )', () => this.shift(-1)),
        this.popover.element,
        button('right', 'Later ( ] )', () => this.shift(1)),
        button('out', 'Zoom out ( - )', () => this.out()),
      ),
      this.live,
      button('refresh', 'Refresh (.)', refresh),
    );
  }

  show(state: State): void {
    const name = rangeName(state);
    this.popover.setFace(`Time range: ${name}`, icon('clock'), name);
    this.live.setAttribute('aria-pressed', String(state.live));
  }

  toggleLive(): void {
    const { live, to, from } = this.router.state;
    const follow = to === 'now' && isRelative(from) ? {} : { from: 'now-15m', to: 'now' };
    this.router.push(live ? { live: false } : { ...follow, live: true });
  }

  shift(direction: -1 | 1): void {
    this.router.push({ ...shiftRange(this.router.state, direction, nowS()), live: false });
  }

  out(): void {
    if (!this.router.leaveRange()) this.router.push({ ...widenRange(this.router.state, nowS()), live: false });
  }

  private field(label: string): HTMLInputElement {
    const input = h('input', { class: 'field', type: 'text', spellcheck: 'false', autocomplete: 'off' });
    h('label', { class: 'labelled' }, label, input);
    return input;
  }

  private opened(): void {
    const { state } = this.router;
    fill(
      this.presetList,
      ...presets.map(({ span, name }) =>
        h(
          'button',
          {
            type: 'button',
            class: 'preset',
            'aria-pressed': String(state.from === `now-${span}` && state.to === 'now'),
            on: { click: () => this.pick({ from: `now-${span}`, to: 'now' }) },
          },
          name,
        ),
      ),
    );
    const range = resolveRange(state, nowS());
    this.from.value = isRelative(state.from) ? state.from : formatMoment(range.from);
    this.to.value = isRelative(state.to) ? state.to : formatMoment(range.to);
    this.complain('');
    this.presetList.querySelector('button')?.focus();
  }

  private apply(event: Event): void {
    event.preventDefault();
    const from = parseTime(this.from.value, nowS());
    const to = parseTime(this.to.value, nowS());
    if (from === undefined) return this.complain('“From” is not a time.');
    if (to === undefined) return this.complain('“To” is not a time.');
    if (from >= to) return this.complain('“From” must be before “To”.');
    this.pick({ from: normalTime(this.from.value), to: normalTime(this.to.value) });
  }

  private complain(text: string): void {
    this.complaint.hidden = text === '';
    this.complaint.textContent = text;
  }

  private pick(range: { from: string; to: string }): void {
    this.popover.close();
    this.router.push({ ...range, live: this.router.state.live && range.to === 'now' }, []);
  }
}
