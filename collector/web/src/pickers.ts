// SPDX-License-Identifier: Apache-2.0
// The pickers of service and kind at the top of the page, and of the type, which is the timeline's title.
import type { Service } from './api.ts';
import { h, update } from './dom.ts';
import { OptionList } from './option_list.ts';
import { Popover } from './popover.ts';
import type { Router } from './router.ts';
import { kindName, sortedKinds, typeName, type Selection } from './selection.ts';
import { formatSpan } from './time.ts';

// What belongs to the service, kind and type that are left.
const fresh = { zoom: '', type: '' };

export class Pickers {
  readonly service: HTMLElement;
  readonly kinds = h('div', { class: 'segments', role: 'group', 'aria-label': 'Kind of profile' });
  readonly type = h('select', {
    class: 'title-select',
    'aria-label': 'Measured value',
    hidden: true,
    on: { change: () => this.router.push({ type: this.type.value, zoom: '' }) },
  });
  private services: Service[] = [];
  private readonly popover = new Popover('Service', () => this.list(), 'service-picker');
  private readonly options = new OptionList('Find a service', (service) => this.pick(service));

  constructor(private readonly router: Router) {
    this.popover.panel.append(this.options.element);
    this.service = this.popover.element;
    this.setService(router.state.service);
  }

  show(services: Service[], selection: Selection | undefined): void {
    this.services = services;
    this.setService(selection?.service.service ?? this.router.state.service);
    const kinds = selection ? sortedKinds(selection.service) : [];
    update(
      this.kinds,
      ...kinds.map(({ kind }) =>
        h(
          'button',
          {
            type: 'button',
            class: 'segment',
            'data-key': kind,
            'aria-pressed': String(kind === selection?.kind.kind),
            on: { click: () => this.router.push({ ...fresh, kind }) },
          },
          kindName(kind),
        ),
      ),
    );
    const types = selection?.kind.types ?? [];
    this.type.hidden = types.length < 2;
    update(this.type, ...types.map(({ type }) => h('option', { value: type }, typeName(type))));
    if (selection) this.type.value = selection.type;
  }

  private setService(name: string): void {
    this.popover.setFace(
      name ? `Service: ${name}` : 'Service',
      h('span', { class: 'picker-label' }, 'Service'),
      h('strong', {}, name || 'choose'),
    );
  }

  private list(): void {
    const now = Date.now() / 1000;
    this.options.show(
      this.services.map(({ service, last }) => ({
        value: service,
        text: service,
        detail: now - last < 60 ? 'now' : `${formatSpan(now - last)} ago`,
      })),
      this.router.state.service,
    );
  }

  private pick(service: string): void {
    this.popover.close();
    const { kind } = this.router.state;
    const same = this.services.find((one) => one.service === service)?.kinds.some((one) => one.kind === kind);
    // Labels of one service mean nothing to another.
    this.router.push({ ...fresh, service, kind: same ? kind : '', match: [], by: '' });
  }
}
