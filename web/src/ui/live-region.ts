// The one polite live region, at most every five seconds, and the clock by which relative times move.
import { signal } from "@preact/signals";

const LEAST = 5000;

export const announced = signal("");
/** Moves once a second while the page is seen. */
export const now = signal(Date.now());

let last = 0;
let waiting: string[] = [];
let timer = 0;

/** Say something to who listens: at once if it was quiet, else together with what comes meanwhile. */
export function announce(text: string): void {
  waiting.push(text);
  if (timer) return;
  timer = window.setTimeout(() => {
    announced.value = waiting.splice(0).slice(-3).join(". ");
    last = Date.now();
    timer = 0;
  }, Math.max(0, last + LEAST - Date.now()));
}

setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 1000);
