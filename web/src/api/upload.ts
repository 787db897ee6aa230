// Files to the server: in one piece, or in parts that survive a cut network.
import { type Signal, signal } from "@preact/signals";

import { type Json, isObject, parse, stringify } from "../json/lossless.ts";
import { path } from "../place.ts";
import { ApiError, call, sentence } from "./client.ts";

const WHOLE = 100 * 1000 * 1000;
const PART = 16 * 1024 * 1024;
const TRIES = 8;

export interface Stored {
  url: string;
  file_name: string;
  content_type: string;
  file_size: number;
}

/** A name as the UTF-8 bytes that a header carries; what no header may hold becomes a space. */
const headerText = (name: string): string =>
  String.fromCharCode(...new TextEncoder().encode(name.replace(/[\u0000-\u001f\u007f]/g, " ")));

/** An upload under way: how far it is, and how to hold or end it. */
export class Upload {
  readonly file: File;
  readonly sent: Signal<number> = signal(0);
  readonly says = signal("");
  readonly held = signal(false);
  readonly done: Promise<Stored>;
  private readonly ending = new AbortController();
  private goOn: (() => void) | null = null;

  constructor(file: File) {
    this.file = file;
    this.done = file.size > WHOLE ? this.inParts() : this.whole();
    this.done.catch(() => undefined); // whoever made it hears it by `done`
  }

  cancel(): void {
    this.ending.abort();
    this.goOn?.();
  }

  pause(): void {
    this.held.value = !this.held.value;
    if (!this.held.value) this.goOn?.();
  }

  private async whole(): Promise<Stored> {
    const headers = { "content-type": this.type, "x-fal-file-name": headerText(this.file.name) };
    const answer = await this.again(() => send("POST", "/files/upload", this.file, headers, this.sent, 0, this.ending.signal));
    return this.stored(answer);
  }

  private get type(): string {
    return this.file.type || "application/octet-stream";
  }

  private stored(answer: Json): Stored {
    const url = isObject(answer) ? String(answer.access_url ?? answer.url ?? "") : "";
    return { url, file_name: this.file.name, content_type: this.type, file_size: this.file.size };
  }

  private async inParts(): Promise<Stored> {
    const headers = { "content-type": this.type, "x-fal-file-name": headerText(this.file.name) };
    const begun = await call<{ access_url: string; uploadId: string }>("POST", "/files/upload/multipart", { headers, signal: this.ending.signal });
    const at = `${new URL(begun.access_url, location.href).pathname.replace(path(""), "")}/multipart/${begun.uploadId}`;
    const parts: Json[] = [];
    for (let n = 1, from = 0; from < this.file.size; n++, from += PART) {
      if (this.held.value) await new Promise<void>((go) => (this.goOn = go));
      const piece = this.file.slice(from, from + PART);
      const start = from;
      const answer = await this.again(() => send("PUT", `${at}/${n}`, piece, {}, this.sent, start, this.ending.signal));
      parts.push({ partNumber: n, etag: isObject(answer) ? (answer.etag ?? "") : "" });
    }
    await call("POST", `${at}/complete`, { json: { parts }, signal: this.ending.signal });
    return this.stored({ access_url: begun.access_url });
  }

  /** Try again while it is the network's or the server's fault, for about two minutes. */
  private async again<T>(work: () => Promise<T>): Promise<T> {
    for (let n = 1; ; n++) {
      try {
        const result = await work();
        this.says.value = "";
        return result;
      } catch (error) {
        const passing = error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 502);
        if (!passing || n >= TRIES || this.ending.signal.aborted) throw error;
        const wait = Math.min(30, 2 ** (n - 1));
        this.says.value = `the connection was cut; try ${n + 1} in ${wait} s`;
        await new Promise((go) => setTimeout(go, wait * 1000));
      }
    }
  }
}

/** As `fetch`, with progress, which only this older interface tells. */
function send(method: string, to: string, body: Blob, headers: Record<string, string>, sent: Signal<number>, before: number, signal: AbortSignal): Promise<Json> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const fail = (status: number, text: string, detail: Json = null) => reject(new ApiError(status, text, detail));
    request.open(method, path(to));
    request.setRequestHeader("Pondage-Ui", "1");
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => (sent.value = before + event.loaded);
    request.onerror = () => fail(0, "the connection was cut");
    request.onabort = () => fail(-1, "the upload was cancelled");
    request.onload = () => {
      let answer: Json = null;
      try {
        answer = request.responseText ? parse(request.responseText) : null;
      } catch {
        answer = null; // no JSON: the status has to do
      }
      sent.value = before + body.size;
      if (request.status < 400) return resolve(answer);
      const detail = isObject(answer) ? (answer.detail ?? null) : null;
      fail(request.status, sentence(detail) || `${request.status} ${stringify(detail)}`, detail);
    };
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) return fail(-1, "the upload was cancelled");
    request.send(body);
  });
}
