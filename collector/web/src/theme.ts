// SPDX-License-Identifier: Apache-2.0
// Light or dark: the viewer's own choice (kept in this browser, not in links), else the system's.

export type Theme = 'light' | 'dark';
const key = 'siprof-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function chosen(): Theme | undefined {
  try {
    const value = localStorage.getItem(key);
    return value === 'light' || value === 'dark' ? value : undefined;
  } catch {
    return undefined; // storage is blocked: the system's theme is used
  }
}

export function currentTheme(): Theme {
  return chosen() ?? (system.matches ? 'dark' : 'light');
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = currentTheme();
}

export function toggleTheme(): void {
  const next: Theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(key, next);
  } catch {
    // Storage is blocked: the choice holds until the page is left.
  }
  document.documentElement.dataset.theme = next;
  dispatchEvent(new Event('siprof-theme'));
}

export function onThemeChange(listener: () => void): void {
  addEventListener('siprof-theme', listener);
  system.addEventListener('change', () => {
    applyTheme();
    listener();
  });
}
