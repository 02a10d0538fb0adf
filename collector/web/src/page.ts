// SPDX-License-Identifier: Apache-2.0
// The page's frame: header, filter row, banner, and either the panels or a notice in their place.
import { fill, h, icon } from './dom.ts';
import { Banner, Progress, Toast } from './notices.ts';
import { toggleTheme } from './theme.ts';

export interface Parts {
  service: HTMLElement;
  kinds: HTMLElement;
  time: HTMLElement;
  chips: HTMLElement;
  group: HTMLElement;
  timeline: HTMLElement;
  metrics: HTMLElement;
  graph: HTMLElement;
  help(): void;
  copyLink(): void;
}

export class Page {
  readonly banner = new Banner();
  readonly progress = new Progress();
  readonly toast = new Toast();
  readonly download = h(
    'a',
    { class: 'button', download: '', title: 'Download this profile as pprof (gzip)' },
    icon('download'),
    'pprof',
  );
  private readonly filters: HTMLElement;
  private readonly panels: HTMLElement;
  private readonly notice = h('div', { class: 'notice-place page-notice', hidden: true });
  private readonly pickers: HTMLElement;

  constructor(parts: Parts) {
    const square = (face: Node | string, title: string, act: () => void) =>
      h('button', { type: 'button', class: 'button square', title, 'aria-label': title, on: { click: act } }, face);
    this.pickers = h(
      'div',
      { class: 'head-pickers' },
      parts.service,
      parts.kinds,
      h('span', { class: 'stretch' }),
      parts.time,
    );
    const header = h(
      'header',
      { class: 'head' },
      h('a', { class: 'brand', href: '.', 'aria-label': 'siprof, start page' }, mark(), h('span', {}, 'siprof')),
      this.pickers,
      h(
        'span',
        { class: 'head-end' },
        square(icon('moon'), 'Light or dark (t)', toggleTheme),
        square('?', 'Keyboard map (?)', parts.help),
      ),
    );
    this.filters = h(
      'div',
      { class: 'filters' },
      parts.chips,
      parts.group,
      h('span', { class: 'stretch' }),
      this.download,
      h(
        'button',
        {
          type: 'button',
          class: 'button',
          title: 'Copy a link to exactly this view and range',
          on: { click: parts.copyLink },
        },
        icon('link'),
        'Copy link',
      ),
    );
    this.panels = h('div', { class: 'panels' }, parts.timeline, parts.metrics, parts.graph);
    document.body.append(
      h('a', { class: 'skip', href: '#graph' }, 'Skip to the profile'),
      this.progress.element,
      header,
      this.filters,
      this.banner.element,
      this.panels,
      this.notice,
      this.toast.element,
    );
    this.showNotice(h('div', { class: 'blank' }));
  }

  // Something to say instead of data; null brings the panels back.
  showNotice(notice: HTMLElement | null, withPickers = false): void {
    this.panels.hidden = notice !== null;
    this.filters.hidden = notice !== null;
    this.pickers.hidden = notice !== null && !withPickers;
    this.notice.hidden = notice === null;
    fill(this.notice, notice);
  }
}

function mark(): HTMLElement {
  return h('span', { class: 'mark', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'), h('i'));
}
