// A request as a file: written by its page, read again by any of these pages without the server that it is of.
import { signal } from "@preact/signals";

import type { Delivery, Request, RequestEvent } from "../api/types.ts";
import { type Json, isObject, parse } from "../json/lossless.ts";

export interface Export {
  exported_at: string;
  request: Request;
  events: RequestEvent[];
  deliveries: Delivery[];
  input: Json;
  output: Json;
}

export const opened = signal<Export | null>(null);

/** Read an exported request. Raises what is wrong with it, in words. */
export async function openFile(file: File): Promise<Export> {
  const whole = parse(await file.text());
  if (!isObject(whole) || whole.pondage !== 1 || !isObject(whole.request)) throw new Error(`${file.name} is no exported request`);
  const { request } = whole;
  for (const name of ["id", "app", "path", "state", "submitted_at"]) if (typeof request[name] !== "string") throw new Error(`${file.name}: the request has no ${name}`);
  const list = (value: Json | undefined) => (Array.isArray(value) ? value.filter(isObject) : []);
  return {
    exported_at: String(whole.exported_at ?? ""), request: request as unknown as Request, events: list(whole.events) as unknown as RequestEvent[],
    deliveries: list(whole.deliveries) as unknown as Delivery[], input: whole.input ?? null, output: whole.output ?? null,
  };
}
