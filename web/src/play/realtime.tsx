// A session to try: send the form's value, see what comes back; a camera or a microphone as a source.
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";

import { Form, Members, Field } from "../form/field.tsx";
import type { FormState } from "../form/state.ts";
import { type Json, isObject, parse, stringify } from "../json/lossless.ts";
import { pack, unpack } from "../json/msgpack.ts";
import { path, secure } from "../place.ts";
import { Icon } from "../ui/icons.tsx";
import { clock, duration } from "../ui/format.ts";
import { Line } from "../chart/line.tsx";
import { Value } from "./result.tsx";
import { FrameSource } from "./source.ts";

interface Message {
  n: number;
  at: number;
  out: boolean;
  value: Json;
  size: number;
  /** Seconds since the message that this answers was sent. */
  took: number | null;
}

const KEPT = 200;

class Session {
  socket: WebSocket | null = null;
  private sent: number[] = [];
  private count = 0;
  private readonly tell: (message: Message) => void;
  private readonly changed: (state: string) => void;

  constructor(tell: (message: Message) => void, changed: (state: string) => void) {
    this.tell = tell;
    this.changed = changed;
  }

  open(id: string): void {
    const url = new URL(path(`/${id}`), location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.changed("connecting");
    socket.onopen = () => this.changed("open");
    socket.onclose = (event) => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.sent = [];
      this.changed(`closed${event.code === 1000 || event.code === 1005 ? "" : `: ${event.code} ${event.reason}`}`);
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => this.heard(event.data);
  }

  private heard(data: string | ArrayBuffer): void {
    let value: Json;
    try {
      value = typeof data === "string" ? parse(data) : unpack(new Uint8Array(data));
    } catch (error) {
      value = `cannot be read: ${String(error)}`;
    }
    const control = isObject(value) && typeof value.type === "string" && value.type.startsWith("x-fal-");
    const began = control ? undefined : this.sent.shift();
    this.put(false, value, typeof data === "string" ? data.length : data.byteLength, began === undefined ? null : (performance.now() - began) / 1000);
  }

  send(value: Json, binary: boolean): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const data = binary ? pack(value) : stringify(value);
    this.socket.send(data);
    this.sent.push(performance.now());
    this.put(true, value, data.length, null);
  }

  private put(out: boolean, value: Json, size: number, took: number | null): void {
    this.tell({ n: ++this.count, at: Date.now(), out, value, size, took });
  }

  close(): void {
    this.socket?.close();
  }
}

export function Realtime({ id, form }: { id: string; form: FormState }) {
  const messages = useSignal<Message[]>([]);
  const state = useSignal("closed");
  const binary = useSignal(false);
  const source = useSignal<FrameSource | null>(null);
  const wrong = useSignal("");
  const last = useRef<Message | null>(null);
  const session = useMemo(() => new Session(
    (message) => {
      if (!message.out) last.current = message;
      messages.value = [...messages.value.slice(1 - KEPT), message];
    },
    (now) => (state.value = now),
  ), [id]);
  useEffect(() => () => {
    session.close();
    source.value?.stop();
  }, [session]);
  const open = state.value === "open";
  const times = messages.value.filter((one) => one.took !== null).map((one) => one.took as number);
  const begin = async (kind: "camera" | "mic") => {
    wrong.value = "";
    try {
      source.value = await FrameSource.begin(kind, (bytes) => {
        const value = form.value.value;
        const name = byteField(form, kind);
        session.send({ ...(isObject(value) ? value : {}), [name]: bytes as unknown as Json }, true);
      });
    } catch (error) {
      wrong.value = error instanceof Error ? error.message : String(error);
    }
  };
  const end = () => {
    source.value?.stop();
    source.value = null;
  };
  return (
    <div class="play">
      <form class="panel input" aria-label="Message" noValidate onSubmit={(event) => { event.preventDefault(); session.send(form.value.value, binary.value); }}>
        <div class="row">
          <h2>Message</h2><span class="grow" />
          {open || state.value === "connecting" ? <button type="button" onClick={() => { end(); session.close(); }}>Close the session</button> : <button type="button" class="strong" onClick={() => session.open(id)}>Open a session</button>}
          <span class="dim" role="status">{state.value}</span>
        </div>
        {wrong.value && <p class="error" role="alert">{wrong.value}</p>}
        <Form.Provider value={form}>{form.node.kind === "object" ? <Members node={form.node} /> : <Field node={form.node} path={[]} required />}</Form.Provider>
        <div class="run-bar">
          <button type="submit" class="strong" disabled={!open}><Icon name="play" /> Send</button>
          <label class="check"><input type="checkbox" checked={binary.value} onChange={(event) => (binary.value = event.currentTarget.checked)} /> as msgpack</label>
          {secure && !source.value && (["camera", "mic"] as const).map((kind) => <button type="button" key={kind} disabled={!open} onClick={() => void begin(kind)}><Icon name={kind} /> Send {kind === "mic" ? "microphone" : "camera"}</button>)}
          {source.value && <button type="button" onClick={end}>Stop sending</button>}
        </div>
      </form>
      <section class="panel result" aria-label="Messages">
        {times.length > 1 && <Line values={times} label="Round trip" unit={duration} />}
        {last.current && <details open><summary>Last answer</summary><Value value={last.current.value} /></details>}
        <ol class="messages" aria-label="Messages, newest first">
          {messages.value.toReversed().slice(0, 60).map((one) => (
            <li key={one.n} class={one.out ? "out" : "in"}>
              <span class="dim">{one.out ? "→ sent" : "← came"} {clock(one.at, true)}{one.took === null ? "" : ` · ${duration(one.took)}`}</span> <code>{cut(stringify(one.value))}</code>
            </li>
          ))}
        </ol>
        {!messages.value.length && <p class="dim">Open a session and send a message: what goes and comes is listed here.</p>}
      </section>
    </div>
  );
}

const cut = (text: string): string => (text.length > 400 ? `${text.slice(0, 400)}… ${text.length} characters` : text);

/** The member of a message that takes bytes: by its schema's format, else by its name. */
function byteField(form: FormState, kind: "camera" | "mic"): string {
  if (form.node.kind === "object") {
    const binary = form.node.members.find((member) => { const inner = member.node(); return inner.kind === "string" && inner.format === "binary"; });
    if (binary) return binary.name;
  }
  return kind === "camera" ? "image" : "audio";
}
