// Files that earlier outputs of this page made: "use as input".
import { signal } from "@preact/signals";

export interface Earlier {
  url: string;
  content_type: string;
  name: string;
}

export const earlier = signal<Earlier[]>([]);

export function remember(files: Earlier[]): void {
  const known = new Set(files.map((one) => one.url));
  earlier.value = [...files, ...earlier.value.filter((one) => !known.has(one.url))].slice(0, 40);
}
