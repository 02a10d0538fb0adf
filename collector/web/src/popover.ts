// SPDX-License-Identifier: Apache-2.0
// A button that opens a panel below itself. Escape and a click elsewhere close it; the focus comes back to the button.
import { h, icon } from './dom.ts';

export class Popover {
  readonly button: HTMLButtonElement;
  readonly panel = h('div', { class: 'popover', hidden: true });
  readonly element: HTMLElement;
  private readonly face = h('span', { class: 'picker-face' });

  constructor(
    label: string,
    private readonly opened: () => void,
    className = '',
  ) {
    this.button = h(
      'button',
      {
        type: 'button',
        class: 'button picker',
        'aria-haspopup': 'true',
        'aria-expanded': 'false',
        'aria-label': label,
        on: { click: () => (this.panel.hidden ? this.open() : this.close()) },
      },
      this.face,
      icon('chevron'),
    );
    this.element = h('div', { class: `popover-anchor ${className}` }, this.button, this.panel);
    this.element.addEventListener('keydown', (event) => this.key(event));
    document.addEventListener('pointerdown', (event) => {
      if (!this.panel.hidden && !this.element.contains(event.target as Node)) this.hide();
    });
  }

  setFace(label: string, ...face: (Node | string)[]): void {
    this.face.replaceChildren(...face);
    this.button.setAttribute('aria-label', label);
  }

  open(): void {
    this.panel.hidden = false;
    this.button.setAttribute('aria-expanded', 'true');
    this.opened();
    // A panel that would stick out of the window hangs from the button's right edge instead.
    this.panel.classList.remove('from-right');
    if (this.panel.getBoundingClientRect().right > innerWidth - 8) this.panel.classList.add('from-right');
  }

  close(): void {
    this.hide();
    this.button.focus();
  }

  private hide(): void {
    this.panel.hidden = true;
    this.button.setAttribute('aria-expanded', 'false');
  }

  private key(event: KeyboardEvent): void {
    if (event.key !== 'Escape' || this.panel.hidden) return;
    event.stopPropagation();
    this.close();
  }
}
