// The apps that the server knows: one list for the whole page, kept fresh.
import { computed, signal } from "@preact/signals";

import { ApiError, get } from "../api/client.ts";
import type { App, Apps } from "../api/types.ts";
import { follow } from "./socket.ts";

type Counts = Pick<App, "name" | "queued" | "running" | "free">;

const NONE = { queued: 0, running: 0, free: 0 };
const declared = signal<App[] | null>(null);
const counts = signal<ReadonlyMap<string, Counts>>(new Map());

export const appsError = signal<ApiError | null>(null);

/** Every app with its counts of this moment; null until they are known. */
export const apps = computed<App[] | null>(
  () => declared.value?.map((app) => ({ ...NONE, ...app, ...counts.value.get(app.name) }) as App) ?? null,
);
export const appNames = computed(() => (declared.value ?? []).map((app) => app.name));

export async function loadApps(): Promise<void> {
  try {
    put((await get<Apps>("/api/v1/apps", { schemas: 0 })).items);
  } catch (error) {
    if (error instanceof ApiError) appsError.value = error;
  }
}

function put(items: App[]): void {
  declared.value = items;
  appsError.value = null;
}

export function startApps(): void {
  void loadApps();
  const error = (problem: ApiError) => (appsError.value = problem);
  follow("apps", { rows: (rows) => put(rows as unknown as App[]), error });
  follow("summary", { rows: (rows) => (counts.value = new Map((rows as unknown as Counts[]).map((one) => [one.name, one]))) });
}
