// SPDX-License-Identifier: Apache-2.0
// Copies text. The clipboard API is missing on plain http beyond localhost, where the old command still works.
import { h } from './dom.ts';

export async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Permission denied: the old command needs none.
    }
  }
  const field = h('textarea', { class: 'visually-hidden', readonly: true });
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  return copied;
}
