// SPDX-License-Identifier: Apache-2.0
// What stands in for data: no service yet, nothing in this range, an error, the login form.
import { ApiError, login } from './api.ts';
import { h, icon } from './dom.ts';

export interface Action {
  text: string;
  act(): void;
}

function card(title: string, ...content: (Node | string)[]): HTMLElement {
  return h('div', { class: 'notice' }, h('h2', {}, title), ...content);
}

function buttons(actions: Action[]): HTMLElement {
  return h(
    'div',
    { class: 'notice-actions' },
    ...actions.map(({ text, act }, at) =>
      h('button', { type: 'button', class: at === 0 ? 'button primary' : 'button', on: { click: act } }, text),
    ),
  );
}

export function noData(title: string, text: string, actions: Action[]): HTMLElement {
  return card(title, h('p', {}, text), buttons(actions));
}

// The collector has nothing at all: how a program comes here.
export function noServices(copy: (text: string) => void): HTMLElement {
  const command = (text: string) =>
    h(
      'div',
      { class: 'command' },
      h('code', {}, text),
      h(
        'button',
        {
          type: 'button',
          class: 'button square',
          'aria-label': `Copy ${text}`,
          title: 'Copy',
          on: { click: () => copy(text) },
        },
        icon('copy'),
      ),
    );
  const preload = 'LD_PRELOAD=/usr/local/lib/siprof/libsiprof.so ./app';
  return card(
    'No profiles yet',
    h('p', {}, 'Start any dynamically linked program with siprof preloaded:'),
    command(preload),
    h('p', {}, 'or let siprof set the variable:'),
    command('siprof run -- ./app'),
    h(
      'p',
      { class: 'hint' },
      'Agents send to http://127.0.0.1:9460 unless SIPROF_COLLECTOR says otherwise. The first profile is here ' +
        'about 10 seconds after the start; this page looks again by itself.',
    ),
  );
}

export class Banner {
  readonly element = h('div', { class: 'banner', role: 'alert', hidden: true });

  show(message: string, retry: () => void): void {
    const again = h('button', { type: 'button', class: 'button small', on: { click: retry } }, 'Try again');
    const close = h(
      'button',
      { type: 'button', class: 'banner-close', 'aria-label': 'Dismiss', on: { click: () => this.hide() } },
      icon('close'),
    );
    this.element.replaceChildren(h('span', { class: 'banner-text' }, message), again, close);
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
  }
}

export function loginForm(done: () => void): HTMLElement {
  const field = h('input', {
    class: 'field',
    type: 'password',
    autocomplete: 'current-password',
    name: 'token',
    required: true,
    id: 'token',
  });
  const complaint = h('p', { class: 'complaint', role: 'alert', hidden: true });
  const submit = async (event: Event) => {
    event.preventDefault();
    complaint.hidden = true;
    try {
      await login(field.value.trim());
      done();
    } catch (error) {
      complaint.textContent =
        error instanceof ApiError && error.status !== 401 ? error.message : 'The collector does not know this token.';
      complaint.hidden = false;
      field.select();
    }
  };
  return card(
    'Sign in',
    h('p', {}, 'This collector wants a token: one of those in its --web-tokens file.'),
    h(
      'form',
      { class: 'login', on: { submit: (event) => void submit(event) } },
      h('label', { class: 'labelled', for: 'token' }, 'Token', field),
      complaint,
      h('button', { type: 'submit', class: 'button primary' }, 'Sign in'),
    ),
  );
}

// A thin line at the top while something loads; not before 150 ms, so that fast answers don't make it flicker.
export class Progress {
  readonly element = h('div', { class: 'progress', role: 'progressbar', 'aria-label': 'Loading', hidden: true });
  private timer = 0;

  start(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => {
      this.element.hidden = false;
    }, 150);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.element.hidden = true;
  }
}

export class Toast {
  readonly element = h('div', { class: 'toast', role: 'status', hidden: true });
  private timer = 0;

  show(text: string): void {
    clearTimeout(this.timer);
    this.element.textContent = text;
    this.element.hidden = false;
    this.timer = window.setTimeout(() => {
      this.element.hidden = true;
    }, 2500);
  }
}
