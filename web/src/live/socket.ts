// The one WebSocket of a tab: topics, resume, and what to do where no WebSocket gets through.
import { signal } from "@preact/signals";

import { ApiError, get } from "../api/client.ts";
import type { RequestEvent, Request } from "../api/types.ts";
import { type Json, isObject, parse } from "../json/lossless.ts";
import { build, path } from "../place.ts";

export type Connection = "live" | "connecting" | "waiting" | "polling" | "paused";
export const connection = signal<Connection>("connecting");
/** When the next try to connect is. */
export const retryAt = signal(0);
/** The server serves another build than this page is of. */
export const newBuild = signal(false);
/** The server asks for no key: any program on its machine may call. */
export const openServer = signal(false);
/** Seconds by which the server's clock is ahead of this machine's. */
export const clockAhead = signal(0);

const POLL = 5000;
const HIDDEN = 30_000;
const FAILURES = 3;
const LONGEST = 15_000;

/** What a topic's follower hears. Lists come whole; of a request, its state and the events that are new. */
export interface Follower {
  rows?: (rows: Json[]) => void;
  request?: (request: Request, events: RequestEvent[], end: boolean) => void;
  /** A picture of the work, as an address of an image. */
  preview?: (url: string) => void;
  error?: (error: ApiError) => void;
}

interface Topic {
  followers: Set<Follower>;
  rows: Map<string, Json>;
  list: Json[] | null;
  after: number;
  ended: boolean;
}

const topics = new Map<string, Topic>();
let socket: WebSocket | null = null;
let failures = 0;
let timer = 0;
let hiding = 0;
let polling = 0;

const keyOf = (row: Json): string => (isObject(row) ? String(row.id ?? row.name ?? "") : "");

/** Follow a topic until the function that is returned is called. `after`: for a request, the last event that is known. */
export function follow(name: string, follower: Follower, after = 0): () => void {
  let topic = topics.get(name);
  if (!topic) {
    topic = { followers: new Set(), rows: new Map(), list: null, after, ended: false };
    topics.set(name, topic);
    say({ sub: name, after });
    if (connection.value === "polling") void poll(name, topic);
  } else if (topic.list) {
    follower.rows?.(topic.list);
  }
  topic.followers.add(follower);
  return () => {
    topic.followers.delete(follower);
    if (topic.followers.size || topics.get(name) !== topic) return;
    topics.delete(name);
    say({ unsub: name });
  };
}

function say(message: object): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect(): void {
  clearTimeout(timer);
  if (socket || document.hidden) return;
  if (connection.value !== "polling") connection.value = "connecting";
  const url = new URL(path("/api/v1/live"), location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(url);
  socket = mine;
  mine.onmessage = (event) => {
    if (socket === mine) hear(parse(String(event.data)));
  };
  mine.onclose = () => {
    if (socket !== mine) return;
    socket = null;
    failures += 1;
    if (document.hidden && connection.value === "paused") return;
    again();
  };
}

function again(): void {
  const wait = Math.min(LONGEST, 500 * 2 ** Math.min(failures - 1, 5)) * (0.75 + Math.random() / 2);
  retryAt.value = Date.now() + wait;
  timer = window.setTimeout(connect, wait);
  if (failures < FAILURES) {
    connection.value = "waiting";
    return;
  }
  connection.value = "polling";
  polling ||= window.setInterval(() => {
    if (!document.hidden) for (const [name, topic] of topics) void poll(name, topic);
  }, POLL);
}

function hear(message: Json): void {
  if (!isObject(message)) return;
  if (isObject(message.hello)) {
    failures = 0;
    clearInterval(polling);
    polling = 0;
    connection.value = "live";
    newBuild.value = build !== "" && message.hello.build !== build;
    openServer.value = message.hello.open === true;
    clockAhead.value = Number(message.hello.now ?? 0) - Date.now() / 1000;
    for (const [name, topic] of topics) if (!topic.ended) say({ sub: name, after: topic.after });
    return;
  }
  const topic = topics.get(String(message.topic));
  if (!topic) return;
  if (isObject(message.error)) {
    const error = new ApiError(Number(message.error.status), String(message.error.detail), message.error.detail ?? null);
    topic.ended = true;
    for (const follower of topic.followers) follower.error?.(error);
  } else if (typeof message.preview === "string") {
    for (const follower of topic.followers) follower.preview?.(message.preview);
  } else if (isObject(message.request)) {
    requestNews(topic, message.request as unknown as Request, (message.events ?? []) as unknown as RequestEvent[], message.end === true);
  } else {
    for (const row of (message.rows ?? []) as Json[]) topic.rows.set(keyOf(row), row);
    const keys = (message.keys ?? []) as string[];
    topic.rows = new Map(keys.flatMap((key) => (topic.rows.has(key) ? [[key, topic.rows.get(key) ?? null]] : [])));
    listNews(topic, [...topic.rows.values()]);
  }
}

function listNews(topic: Topic, rows: Json[]): void {
  topic.list = rows;
  for (const follower of topic.followers) follower.rows?.(rows);
}

function requestNews(topic: Topic, request: Request, events: RequestEvent[], end: boolean): void {
  const fresh = events.filter((event) => event.n > topic.after);
  topic.after = events.at(-1)?.n ?? topic.after;
  topic.ended = end;
  for (const follower of topic.followers) follower.request?.(request, fresh, end);
}

// ---- where no WebSocket gets through

const LISTS: Record<string, string> = {
  apps: "/api/v1/apps?schemas=0", summary: "/api/v1/apps?schemas=0", runners: "/api/v1/runners",
  requests: "/api/v1/requests", deliveries: "/api/v1/webhooks/deliveries",
};

async function poll(name: string, topic: Topic): Promise<void> {
  if (topic.ended) return;
  try {
    if (name.startsWith("request:")) {
      const at = `/api/v1/requests/${encodeURIComponent(name.slice(8))}`;
      const request = await get<Request>(at, { payloads: 0 });
      const log = await get<{ items: RequestEvent[]; next_after: number | null }>(`${at}/events`, { after: topic.after, limit: 500 });
      requestNews(topic, request, log.items, request.state === "COMPLETED" && log.next_after === null);
      return;
    }
    const [list, query] = name.split("?");
    const address = LISTS[list ?? ""] ?? "";
    const page = await get<{ items: Json[] }>(query ? `${address}${address.includes("?") ? "&" : "?"}${query}` : address);
    listNews(topic, page.items);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status) for (const follower of topic.followers) follower.error?.(error);
  }
}

// ---- a tab that nobody sees needs nothing

function seen(): void {
  clearTimeout(hiding);
  if (!document.hidden) {
    if (!socket) connect();
    return;
  }
  hiding = window.setTimeout(() => {
    connection.value = "paused";
    clearTimeout(timer);
    const old = socket;
    socket = null;
    old?.close();
  }, HIDDEN);
}

export function startLive(): void {
  document.addEventListener("visibilitychange", seen);
  addEventListener("online", () => {
    failures = 0;
    if (!socket) connect();
  });
  connect();
}

/** Connect anew, as after a sign-in. */
export function reconnect(): void {
  failures = 0;
  const old = socket;
  socket = null;
  old?.close();
  connect();
}
