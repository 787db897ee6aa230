// Whether the page is live. (The socket itself comes with the next step.)
import { signal } from "@preact/signals";

export type Connection = "live" | "connecting" | "waiting" | "polling" | "paused";
export const connection = signal<Connection>("polling");
export const retryAt = signal(0);
export const newBuild = signal(false);
