// Generated from the OpenAPI description by scripts/generate_web_types.py (`make docs`). Do not edit.
import type { Json } from "../json/lossless.ts";

/** An app that is known: what it declares, its runners and slots, how many of its requests wait and run. */
export interface App {
  name: string;
  info: AppInfo;
  runners: number;
  slots: number;
  free: number;
  queued: number;
  running: number;
  fault: string | null;
  calibrated: Calibrated | null;
  served: boolean;
  held: Hold | null;
}

/** What an app's class declares; the fleet plans by it. Durations in seconds. None: the server's default. */
export interface AppInfo {
  name: string;
  endpoints: EndpointInfo[];
  max_multiplexing: number;
  min_concurrency: number | null;
  max_concurrency: number | null;
  concurrency_buffer: number | null;
  keep_alive: number | null;
  request_timeout: number | null;
  request_start_timeout: number | null;
  startup_timeout: number | null;
  termination_grace_period: number | null;
  max_strikes: number | null;
  retry_streams: boolean;
  num_gpus: number | null;
  description: string;
  version: string;
  on_fault: "fail" | "wait" | null;
  payload_ttl: number | null;
}

/** How an app fared. `ends` and `errors` are lines: in each step so many requests ended, so many with an error. */
export interface AppSummary {
  submitted: number;
  ok: number;
  error: number;
  cancelled: number;
  lost: number;
  wait: Latency | null;
  run: Latency | null;
  whole: Latency | null;
  app: string;
  ends: number[];
  errors: number[];
}

export interface Apps {
  items: App[];
  next_cursor: string | null;
}

/** What would be submitted. Without an input its cost counts as that of the defaults. */
export interface Ask {
  path?: string;
  input?: Record<string, Json>;
  priority?: "low" | "normal";
}

/** What is to be done to all requests that match. `count`: at most so many may match, or nothing is done; a filter */
export interface Begin {
  kind: "cancel" | "priority" | "retry";
  filter?: Matching;
  priority?: "front" | "low" | "normal" | null;
  name?: string;
  reason?: string;
  count?: number | null;
  dry_run?: boolean;
}

/** How well what was expected came true: of how many requests, and which share of them ended before p50 and p90. */
export interface Calibrated {
  requests: number;
  before_p50: number;
  before_p90: number;
}

export interface Complete {
  parts?: ListedPart[];
}

export interface Deliveries {
  items: Delivery[];
  next_cursor: string | null;
}

/** A webhook and where it is: `owed`, `done` or `dead`. `log` is there where one is asked for. */
export interface Delivery {
  id: string;
  request_id: string;
  url: string;
  event: string;
  state: string;
  created_at: string;
  due_at: string | null;
  done_at: string | null;
  tries: number;
  last_status: number | null;
  last_reason: string | null;
  held: Held | null;
  log?: Try[] | null;
}

/** One endpoint of an app, as the gateway and the documentation need it. */
export interface EndpointInfo {
  path: string;
  kind: "call" | "realtime" | "stream";
  description: string;
  input_schema: Record<string, Json> | null;
  output_schema: Record<string, Json> | null;
  buffering: number | null;
  session_timeout: number | null;
  max_batch_size: number;
  on_disconnect: "cancel" | "keep" | null;
  retry_streams: boolean | null;
  cost: string[];
  billing: Record<string, Json> | null;
}

/** Errors of one kind: `message` is without what differs from request to request, `share` is of all errors in this */
export interface ErrorGroupItem {
  app: string;
  error_type: string | null;
  message: string;
  count: number;
  share: number;
  first: string;
  last: string;
  sample: string;
}

/** `count` is how many errors there were in all, `groups` of how many kinds that were asked for. */
export interface ErrorGroups {
  since: string;
  until: string;
  count: number;
  groups: number;
  items: ErrorGroupItem[];
  next_cursor: string | null;
}

/** The kinds of entries in a request's log. */
export type EventKind = "chunk" | "completed" | "log" | "operated" | "progress" | "queued" | "retried" | "stale" | "started";

/** When a request starts and ends. `start` is None once it has started. */
export interface Expected {
  start: Within | null;
  end: Within;
}

/** A host that is left alone: so many failures in a row, for so many seconds. */
export interface Held {
  failures: number;
  seconds: number;
}

/** Who has paused an app (`drained`: and lets its runners go), since when, and why. */
export interface Hold {
  drained: boolean;
  by: string;
  reason: string;
  at: string;
}

export interface Initiate {
  content_type?: string | null;
  file_name?: string | null;
}

/** An API key without its secret. `apps` None: any. `priority` is the highest that its requests may have. After a */
export interface Key {
  id: string;
  name: string;
  scopes: string[];
  apps: string[] | null;
  priority: string;
  created_at: string;
  expires_at: string | null;
  revoked_at: string | null;
  rotated_at: string | null;
  old_until: string | null;
  used_at: string | null;
  used_from: string | null;
}

export interface Keys {
  items: Key[];
  next_cursor: string | null;
}

/** How long it took, in seconds. Quantiles are at most 19 % too high, and never too low. */
export interface Latency {
  mean: number;
  p50: number;
  p90: number;
  p99: number;
}

/** The queue of an app. `oldest` is how many seconds the oldest has waited, `work_ahead` about how many seconds of */
export interface Line {
  app: string;
  queued: number;
  running: number;
  oldest: number | null;
  work_ahead: number;
  submitted_per_minute: number;
  ended_per_minute: number;
  held: Hold | null;
  why: string | null;
  keys: LineOfKey[];
}

/** How many requests of a key wait and run. */
export interface LineOfKey {
  caller: string;
  queued: number;
  running: number;
}

export interface Lines {
  items: Line[];
  next_cursor: string | null;
}

export interface ListedPart {
  etag: string;
  partNumber?: number | null;
  part_number?: number | null;
}

export interface Listen {
  app?: string;
}

/** A key to be made. `apps` None: any; `expires_in` seconds, None: never; `priority` is the highest of its requests; */
export interface MakeKey {
  name: string;
  scopes?: string[];
  apps?: string[] | null;
  expires_in?: number | null;
  priority?: "low" | "normal";
  force?: boolean;
}

/** Which requests: all that are named must fit. Times are seconds since 1970. */
export interface Matching {
  app?: string | null;
  path?: string | null;
  caller?: string | null;
  state?: "queued" | "running" | null;
  outcome?: "cancelled" | "error" | "ok" | null;
  error_type?: string | null;
  priority?: "front" | "low" | "normal" | null;
  since?: number | null;
  until?: number | null;
}

/** A key that was just made or rotated: `key` is `id:secret`, shown this once. */
export interface NewKey {
  id: string;
  secret: string;
  key: string;
}

export interface NewPriority {
  priority: "front" | "low" | "normal";
}

/** One thing that is done to many requests, or to an app. `matched` requests fitted as it began; it has changed */
export interface Operation {
  id: string;
  kind: string;
  name: string;
  by: string;
  at: string;
  reason: string;
  filter: Record<string, Json>;
  priority: string | null;
  app: string | null;
  phase: string;
  matched: number;
  changed: number;
  passed: number;
  ended_at: string | null;
  acts: Record<string, string>[];
}

export interface Operations {
  items: Operation[];
  next_cursor: string | null;
}

export type OutcomeKind = "cancelled" | "error" | "ok";

/** What a request that came now would wait and run. `cost` is what its input says by the fields that the endpoint */
export interface Quote {
  app: string;
  path: string;
  cost: number;
  queued: number;
  work_ahead: number;
  expected: Expected | null;
  why: string | null;
}

export interface Replay {
  request_id?: string | null;
  state?: string | null;
  since?: number | null;
  until?: number | null;
}

export interface Report {
  id: string;
  duration: number;
  status?: number | null;
  reason?: string;
  answer?: string;
}

/** A request as it stands, without its input and output. */
export interface Request {
  id: string;
  app: string;
  path: string;
  mode: "call" | "session" | "stream";
  state: State;
  attempt: number;
  strikes: number;
  caller: string;
  agent: string;
  priority: number;
  submitted_at: string;
  last_event: number;
  position: number | null;
  started_at: string | null;
  finished_at: string | null;
  runner: string;
  webhook: string | null;
  retried_from: string | null;
  outcome: OutcomeKind | null;
  status: number | null;
  error: string | null;
  error_type: string | null;
  inference_time: number | null;
  input_bytes: number;
  output_bytes: number;
}

/** An entry of a request's log: number, kind, attempt, time, and what the kind has. */
export interface RequestEvent {
  n: number;
  kind: EventKind;
  attempt: number;
  at: string;
  runner?: string | null;
  level?: string | null;
  message?: string | null;
  source?: string | null;
  step?: number | null;
  total?: number | null;
  chunk?: number | null;
  data?: Json;
  reason?: string | null;
  strike?: boolean | null;
  what?: string | null;
  outcome?: OutcomeKind | null;
  status?: number | null;
  error?: string | null;
  error_type?: string | null;
}

export interface RequestEvents {
  items: RequestEvent[];
  next_after: number | null;
}

export interface Requests {
  items: Request[];
  next_cursor: string | null;
}

export interface Rotate {
  kind: string;
  url?: string;
  at_once?: boolean;
}

/** `overlap`: for so many seconds the secret that the key had opens as well. */
export interface Rotation {
  overlap?: number;
}

/** A line of a runner's own log. */
export interface RunnerLine {
  at: string;
  app: string;
  runner: string;
  level: string;
  message: string;
}

export interface RunnerLines {
  items: RunnerLine[];
  next_cursor: string | null;
}

/** One runner process. */
export interface RunnerState {
  id: string;
  app: string;
  pid: number;
  state: string;
  started_at: number;
  running: string[];
  memory: number;
  devices: number;
}

export interface Runners {
  items: RunnerState[];
  next_cursor: string | null;
}

/** A chart of an app: its points lie `step` seconds apart, from `since` on; beside them all of it together. */
export interface Series {
  submitted: number;
  ok: number;
  error: number;
  cancelled: number;
  lost: number;
  wait: Latency | null;
  run: Latency | null;
  whole: Latency | null;
  app: string;
  since: string;
  until: string;
  step: number;
  points: SeriesPoint[];
}

/** A point of a chart; `at` is where its step begins. */
export interface SeriesPoint {
  submitted: number;
  ok: number;
  error: number;
  cancelled: number;
  lost: number;
  wait: Latency | null;
  run: Latency | null;
  whole: Latency | null;
  at: string;
}

/** Who is signed in. `open`: nobody need be. `key` None: a person of this machine, who may do everything. */
export interface Session {
  open: boolean;
  signed_in: boolean;
  key: string | null;
  name: string | null;
  scopes: string[];
  apps: string[] | null;
  expires_at: string | null;
}

/** A setting, its value, and where that comes from: `default`, a file, a variable, `flag`. */
export interface Setting {
  name: string;
  value: Json;
  source: string;
}

export interface Settings {
  items: Setting[];
  next_cursor: string | null;
}

export interface Sign {
  expires_in?: number;
}

/** `token`: what a link carries; `key`: an API key, `id:secret`. */
export interface SignIn {
  token?: string | null;
  key?: string | null;
}

/** A text that calls an endpoint. `needs`: the command that installs what it uses; `note`: what else to know. */
export interface Snippet {
  language: string;
  title: string;
  code: string;
  needs: string;
  note: string;
}

export interface Snippets {
  items: Snippet[];
}

/** Where a request is; the values are fal's status words (PROTOCOL 4.5), and there are no others. */
export type State = "COMPLETED" | "IN_PROGRESS" | "IN_QUEUE";

export interface Summaries {
  since: string;
  until: string;
  step: number;
  items: AppSummary[];
}

export interface TokenRequest {
  allowed_apps: string[];
  token_expiration?: number;
  duration?: number | null;
  subject?: string | null;
}

/** One try of a delivery. `duration` in seconds; `status` None: there was no answer. */
export interface Try {
  n: number;
  at: string;
  duration: number;
  status: number | null;
  reason: string;
  note: string;
  answer: string;
}

/** What was used: of a day (or a month), by a key, of an app; None where these are added up. Seconds and bytes; */
export interface UsageItem {
  day: string | null;
  key: string | null;
  key_name: string | null;
  app: string | null;
  submitted: number;
  ok: number;
  error: number;
  cancelled: number;
  lost: number;
  waited: number;
  runner: number;
  devices: number;
  input_bytes: number;
  output_bytes: number;
  units: number;
}

export interface UsageReport {
  items: UsageItem[];
  next_cursor: string | null;
}

/** An endpoint id and an input for it. */
export interface Wanted {
  endpoint: string;
  input: Json;
}

/** Why an app is paused, drained or resumed; shown to who waits. */
export interface Why {
  reason?: string;
}

/** Seconds from now within which half of such requests, and nine of ten, are there. */
export interface Within {
  p50: number;
  p90: number;
}
