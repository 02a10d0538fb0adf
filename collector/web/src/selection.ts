// SPDX-License-Identifier: Apache-2.0
// What the state means for the services that there are: which service, kind and type are shown when the link
// leaves them open, and what they are called. Pure.
import type { Kind, Service } from './api.ts';
import type { State } from './state.ts';

export const kindNames: Record<string, string> = {
  cpu: 'CPU',
  wall: 'Wall clock',
  heap: 'Memory',
  lock: 'Locks',
  io: 'Blocking I/O',
  errors: 'Errors',
};

const kindOrder = ['cpu', 'wall', 'heap', 'lock', 'io', 'errors'];

const typeNames: Record<string, string> = {
  cpu: 'CPU time',
  wall: 'Wall time',
  samples: 'Samples',
  delay: 'Time waited',
  contentions: 'Waits',
  bytes: 'Bytes moved',
  alloc_objects: 'Allocations',
  alloc_space: 'Allocated bytes',
  inuse_objects: 'Live objects',
  inuse_space: 'Live bytes',
  exceptions: 'Errors raised',
};

export function typeName(type: string): string {
  return typeNames[type] ?? type;
}

export function kindName(kind: string): string {
  return kindNames[kind] ?? kind;
}

export function sortedKinds(service: Service): Kind[] {
  const rank = (kind: Kind) => (kindOrder.includes(kind.kind) ? kindOrder.indexOf(kind.kind) : kindOrder.length);
  return [...service.kinds].sort((a, b) => rank(a) - rank(b));
}

export interface Selection {
  service: Service;
  kind: Kind;
  type: string;
  unit: string;
}

// What a service that has sent runtime metrics alone is asked for: there is nothing of it.
const noProfiles: Kind = { kind: 'cpu', default_type: 'cpu', types: [{ type: 'cpu', unit: 'nanoseconds' }] };

// Without a service in the link, the one that sent a profile last; undefined where the link's is not known.
export function resolveSelection(state: State, services: Service[]): Selection | undefined {
  const later = (one: Service, best: Service | undefined) =>
    !best || (one.kinds.length > 0) > (best.kinds.length > 0) || (one.last > best.last && one.kinds.length > 0);
  const latest = services.reduce<Service | undefined>((best, one) => (later(one, best) ? one : best), undefined);
  const service = state.service ? services.find((one) => one.service === state.service) : latest;
  if (!service) return undefined;
  const kinds = service.kinds.length > 0 ? sortedKinds(service) : [noProfiles];
  const kind = kinds.find((one) => one.kind === state.kind) ?? kinds[0];
  const known = kind.types.find((one) => one.type === state.type && kind.kind === (state.kind || kind.kind));
  const type = known?.type ?? kind.default_type;
  return { service, kind, type, unit: kind.types.find((one) => one.type === type)?.unit ?? 'count' };
}

// The state with nothing left open: what the API is asked for.
export function completed(state: State, { service, kind, type }: Selection): State {
  return { ...state, service: service.service, kind: kind.kind, type };
}
