// The apps that the server knows: one list for the whole page, asked for once and kept fresh.
import { computed, signal } from "@preact/signals";

import { ApiError, get } from "../api/client.ts";
import type { App, Apps } from "../api/types.ts";
import { connection } from "./socket.ts";

const EVERY = 5000;

export const apps = signal<App[] | null>(null);
export const appsError = signal<ApiError | null>(null);
export const appNames = computed(() => (apps.value ?? []).map((app) => app.name));

export async function loadApps(): Promise<void> {
  try {
    apps.value = (await get<Apps>("/api/v1/apps", { schemas: 0 })).items;
    appsError.value = null;
  } catch (error) {
    if (error instanceof ApiError) appsError.value = error;
  }
}

export function startApps(): void {
  void loadApps();
  setInterval(() => {
    if (connection.value === "polling" && !document.hidden) void loadApps();
  }, EVERY);
}
