// Every call of the pages goes through here: lossless JSON in and out, errors that say what to do.
import { signal } from "@preact/signals";

import { type Json, isObject, parse, stringify } from "../json/lossless.ts";
import { path } from "../place.ts";

/** Whether the server asks for a sign-in; the frame shows it, and the page stays as it is. */
export const signedOut = signal(false);

/** An answer that is no success, or none at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly detail: Json;
  readonly kind: string;
  readonly requestId: string;
  readonly retryAfter: number | null;
  constructor(status: number, message: string, detail: Json, kind = "", requestId = "", retryAfter: number | null = null) {
    super(message);
    this.status = status;
    this.detail = detail;
    this.kind = kind;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export function withQuery(address: string, query: Query = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return text ? `${address}?${text}` : address;
}

export interface Options {
  query?: Query;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Sent as it is; anything else goes as JSON by `json`. */
  body?: BodyInit;
  json?: Json;
}

/** A call that is not read as JSON here; raises as `call` does. */
export async function fetched(method: string, address: string, options: Options = {}): Promise<Response> {
  const headers: Record<string, string> = { "Pondage-Ui": "1", ...options.headers };
  let body = options.body ?? null;
  if (options.json !== undefined) {
    headers["content-type"] = "application/json";
    body = stringify(options.json);
  }
  let answer: Response;
  try {
    answer = await fetch(path(withQuery(address, options.query)), {
      method, headers, body, credentials: "same-origin", redirect: "error", ...(options.signal ? { signal: options.signal } : {}),
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "The server does not answer. Is `pondage serve` still running?", null);
  }
  if (answer.status >= 400) throw await refusal(answer);
  return answer;
}

export async function call<T = Json>(method: string, address: string, options: Options = {}): Promise<T> {
  const answer = await fetched(method, address, options);
  const text = await answer.text();
  return (text ? parse(text) : null) as T;
}

export const get = <T>(address: string, query?: Query, signal?: AbortSignal): Promise<T> =>
  call<T>("GET", address, { ...(query ? { query } : {}), ...(signal ? { signal } : {}) });

async function refusal(answer: Response): Promise<ApiError> {
  let detail: Json = null;
  let kind = answer.headers.get("x-fal-error-type") ?? "";
  try {
    const body = parse(await answer.text());
    detail = isObject(body) ? (body.detail ?? body) : body;
    if (isObject(body) && typeof body.error_type === "string") kind ||= body.error_type;
  } catch {
    detail = null; // no JSON: the status has to do
  }
  if (answer.status === 401) signedOut.value = true;
  const after = Number(answer.headers.get("retry-after") ?? "");
  return new ApiError(
    answer.status, sentence(detail) || `${answer.status} ${answer.statusText}`.trim(), detail, kind,
    answer.headers.get("x-fal-request-id") ?? "", after > 0 ? after : null,
  );
}

/** What an error's `detail` says in one line: a text, or fields with what is wrong with each. */
export function sentence(detail: Json): string {
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return "";
  return detail
    .filter(isObject)
    .map((one) => `${Array.isArray(one.loc) ? one.loc.filter((part) => part !== "body").join(".") : ""}: ${String(one.msg ?? "")}`.replace(/^: /, ""))
    .join("; ");
}
