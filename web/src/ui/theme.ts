// Light, dark, or as the system says.
import { signal } from "@preact/signals";

import { remember, remembered } from "./store.ts";

export type Theme = "system" | "light" | "dark";
const ORDER: Theme[] = ["system", "light", "dark"];

const given = remembered("theme");
export const theme = signal<Theme>(given === "light" || given === "dark" ? given : "system");

theme.subscribe((value) => {
  if (value === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
});

export function nextTheme(): Theme {
  theme.value = ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length] ?? "system";
  remember("theme", theme.value === "system" ? null : theme.value);
  return theme.value;
}
