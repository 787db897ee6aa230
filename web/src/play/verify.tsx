// A delivery's signature, checked in the browser: Standard Webhooks by secret (HMAC), fal's by the server's public keys (Ed25519).
import { useSignal } from "@preact/signals";

import { get } from "../api/client.ts";
import { secure } from "../place.ts";

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (one) => one.charCodeAt(0));
const hexOf = (data: ArrayBuffer): string => [...new Uint8Array(data)].map((one) => one.toString(16).padStart(2, "0")).join("");

export interface Parts {
  headers: Record<string, string>;
  body: string;
}

/** Headers as they are copied from anywhere: `name: value` lines. */
export function headersOf(text: string): Record<string, string> {
  return Object.fromEntries(text.split("\n").flatMap((line) => {
    const at = line.indexOf(":");
    return at > 0 ? [[line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim()]] : [];
  }));
}

async function bySecret({ headers, body }: Parts, secret: string): Promise<boolean> {
  const key = await crypto.subtle.importKey("raw", bytesOf(secret.replace(/^whsec_/, "")), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const said = new TextEncoder().encode(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  const signed = btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.sign("HMAC", key, said))));
  return (headers["webhook-signature"] ?? "").split(" ").some((one) => one === `v1,${signed}`);
}

async function byKeys({ headers, body }: Parts): Promise<boolean> {
  const { keys } = await get<{ keys: { x: string }[] }>("/.well-known/jwks.json");
  const digest = hexOf(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body)));
  const names = ["request-id", "user-id", "timestamp"].map((name) => headers[`x-fal-webhook-${name}`] ?? "");
  const said = new TextEncoder().encode([...names, digest].join("\n"));
  const signature = Uint8Array.from((headers["x-fal-webhook-signature"] ?? "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  for (const one of keys) {
    const key = await crypto.subtle.importKey("raw", bytesOf(one.x), { name: "Ed25519" }, false, ["verify"]);
    if (await crypto.subtle.verify({ name: "Ed25519" }, key, signature, said)) return true;
  }
  return false;
}

export function Verify() {
  const headers = useSignal("");
  const body = useSignal("");
  const secret = useSignal("");
  const says = useSignal<[string, boolean] | null>(null);
  const check = async (event: Event) => {
    event.preventDefault();
    const parts = { headers: headersOf(headers.value), body: body.value };
    const stamp = Number(parts.headers["webhook-timestamp"] ?? parts.headers["x-fal-webhook-timestamp"] ?? 0);
    const age = Math.round(Date.now() / 1000 - stamp);
    try {
      const good = secret.value ? await bySecret(parts, secret.value) : await byKeys(parts);
      const when = stamp ? `signed ${age} s ago by its own clock${Math.abs(age) > 300 ? ": more than five minutes, which receivers refuse" : ""}` : "it has no timestamp";
      says.value = [good ? `The signature is right; ${when}.` : `No signature fits; ${when}. Paste the body byte for byte, and all headers.`, good];
    } catch (error) {
      says.value = [`It cannot be checked: ${error instanceof Error ? error.message : String(error)}`, false];
    }
  };
  if (!secure) return <p>The browser checks signatures only on https or on this machine: <code>ssh -L 8000:localhost:8000 {location.hostname}</code></p>;
  return (
    <form class="members" onSubmit={check}>
      <label class="field">Headers <textarea rows={5} class="code" value={headers.value} placeholder={"webhook-id: …\nwebhook-timestamp: …\nwebhook-signature: v1,…"} onInput={(event) => (headers.value = event.currentTarget.value)} /></label>
      <label class="field">Body <textarea rows={5} class="code" value={body.value} onInput={(event) => (body.value = event.currentTarget.value)} /></label>
      <label class="field">Secret, for Standard Webhooks; empty for fal's scheme <input type="password" autocomplete="off" placeholder="whsec_…" value={secret.value} onInput={(event) => (secret.value = event.currentTarget.value)} /></label>
      <div><button type="submit" class="strong">Check</button></div>
      {says.value && <p class={says.value[1] ? "calm" : "error"} role="status">{says.value[0]}</p>}
    </form>
  );
}

