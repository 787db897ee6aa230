// One run: submitted, followed live, found again by its id after a reload.
import { computed, signal } from "@preact/signals";

import { ApiError, call, fetched, get } from "../api/client.ts";
import type { Request, RequestEvent } from "../api/types.ts";
import { type Json, parse } from "../json/lossless.ts";
import { follow } from "../live/socket.ts";
import { announce } from "../ui/live-region.ts";

export class Run {
  readonly id = signal("");
  readonly request = signal<Request | null>(null);
  readonly events = signal<RequestEvent[]>([]);
  readonly output = signal<Json | Large | undefined>(undefined);
  readonly error = signal<ApiError | null>(null);
  readonly sending = signal(false);
  /** A picture that the app shows of its work; only while it runs. */
  readonly preview = signal("");
  private stop: () => void = () => undefined;
  private readonly ended: (run: Run) => void;

  constructor(ended: (run: Run) => void = () => undefined) {
    this.ended = ended;
  }

  readonly busy = computed(() => this.sending.value || (this.id.value !== "" && this.request.value?.state !== "COMPLETED" && !this.error.value));
  readonly progress = computed(() => this.events.value.findLast((event) => event.kind === "progress") ?? null);
  readonly logs = computed(() => this.events.value.filter((event) => event.kind === "log"));
  /** The partial output of the last attempt that gave any. */
  readonly chunks = computed(() => {
    const all = this.events.value.filter((event) => event.kind === "chunk");
    const last = all.at(-1)?.attempt;
    return all.filter((event) => event.attempt === last);
  });

  async submit(endpoint: string, input: string): Promise<void> {
    this.reset();
    this.sending.value = true;
    try {
      const receipt = await call<{ request_id: string }>("POST", `/queue/${endpoint}`, { body: input, headers: { "content-type": "application/json" } });
      this.follow(receipt.request_id);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.error.value = error;
      this.ended(this);
    } finally {
      this.sending.value = false;
    }
  }

  /** Show a request, running or done. */
  follow(id: string): void {
    this.reset();
    this.id.value = id;
    let said = "";
    this.stop = follow(`request:${id}`, {
      request: (request, events, end) => {
        this.request.value = request;
        if (events.length) this.events.value = [...this.events.value, ...events];
        if (request.state !== said) announce(`request ${request.outcome ?? { IN_QUEUE: "queued", IN_PROGRESS: "running", COMPLETED: "completed" }[request.state]}`);
        said = request.state;
        if (end) void this.finish(request);
      },
      preview: (url) => (this.preview.value = url),
      error: (error) => (this.error.value = error),
    });
  }

  private async finish(request: Request): Promise<void> {
    this.preview.value = "";
    try {
      this.output.value = await outputOf(request);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.id.value === request.id) this.error.value = error;
    }
    if (this.id.value === request.id) this.ended(this);
  }

  async cancel(): Promise<void> {
    try {
      await call("PUT", `/api/v1/requests/${this.id.value}/cancel`);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 400) throw error; // it was done already
    }
  }

  reset(): void {
    this.stop();
    this.stop = () => undefined;
    this.id.value = "";
    this.request.value = null;
    this.events.value = [];
    this.output.value = undefined;
    this.error.value = null;
    this.preview.value = "";
  }
}

/** Bytes of a payload that are read as JSON; more is shown as its beginning. */
export const MOST = 256 * 1024;

/** A payload that is too large to be drawn: its beginning. */
export class Large {
  readonly head: string;
  readonly size: number;
  constructor(head: string, size: number) {
    this.head = head;
    this.size = size;
  }
}

export async function payload(id: string, which: "input" | "output", size: number): Promise<Json | Large> {
  const large = size > MOST;
  const answer = await fetched("GET", `/api/v1/requests/${id}/${which}`, { query: large ? { first: 65_536 } : {} });
  const text = await answer.text();
  if (large) return new Large(text, size);
  try {
    return parse(text);
  } catch {
    return text; // no JSON: an app may answer anything
  }
}

const outputOf = async (request: Request): Promise<Json | Large> =>
  request.output_bytes ? payload(request.id, "output", request.output_bytes) : null;

export const wholeRequest = (id: string): Promise<Request> => get<Request>(`/api/v1/requests/${encodeURIComponent(id)}`, { payloads: 0 });
