// What the browser may remember; in private windows that is nothing, and everything works all the same.
export function remembered(name: string): string | null {
  try {
    return localStorage.getItem(`pondage.${name}`);
  } catch {
    return null;
  }
}

export function remember(name: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`pondage.${name}`);
    else localStorage.setItem(`pondage.${name}`, value);
  } catch {
    // storage is denied or full: this lasts as long as the page
  }
}
