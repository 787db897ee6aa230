// Keyboard: one table of actions, which the sheet (`?`) shows and the palette offers.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { remember, remembered } from "./store.ts";

export interface Action {
  /** As pressed: `g p`, `?`, `Ctrl+K`. Empty: in the palette only. */
  keys: string;
  says: string;
  run: () => void;
}

/** Single keys can be turned off, for who speaks to the computer (WCAG 2.1.4). */
export const singleKeys = signal(remembered("single-keys") !== "off");
singleKeys.subscribe((on) => remember("single-keys", on ? null : "off"));

export const actions = signal<Action[]>([]);
let pressed = "";
let timer = 0;

/** Offer actions while a component is on screen. */
export function useActions(made: () => Action[], changes: unknown[]): void {
  useEffect(() => {
    const mine = made();
    actions.value = [...actions.value, ...mine];
    return () => (actions.value = actions.value.filter((one) => !mine.includes(one)));
  }, changes);
}

function typing(target: EventTarget | null): boolean {
  const element = target as HTMLElement | null;
  if (!element?.closest) return false;
  const field = element.closest("input,textarea,select,[contenteditable]");
  if (!field) return false;
  return !(field instanceof HTMLInputElement && ["checkbox", "radio", "button", "range"].includes(field.type));
}

function find(keys: string): Action | undefined {
  return actions.value.findLast((one) => one.keys === keys); // the page's own before the frame's
}

function key(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const strong = event.ctrlKey || event.metaKey;
  if (strong) {
    const name = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const action = find(`Ctrl+${name}`);
    if (action) {
      event.preventDefault();
      action.run();
    }
    return;
  }
  if (event.altKey || !singleKeys.value || typing(event.target) || document.querySelector("dialog[open]")) return;
  if (event.target instanceof HTMLElement && event.key === "Enter" && event.target.closest("a,button,summary")) return;
  clearTimeout(timer);
  const both = pressed ? `${pressed} ${event.key}` : event.key;
  pressed = "";
  const action = find(both) ?? find(event.key);
  if (action) {
    event.preventDefault();
    action.run();
  } else if (actions.value.some((one) => one.keys.startsWith(`${event.key} `))) {
    pressed = event.key;
    timer = window.setTimeout(() => (pressed = ""), 1200);
  }
}

export const startKeys = () => document.addEventListener("keydown", key);
