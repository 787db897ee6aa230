// The published clients, pointed at a local gateway in each of the ways they offer (docs/pointing.md).
import { createFalClient } from "@fal-ai/client";
import NodeWebSocket from "ws";

export const url = process.env.GATEWAY_URL;
export const key = process.env.GATEWAY_KEY;

const prefixes = {
  "fal.run": "",
  "queue.fal.run": "/queue",
  "rest.fal.ai": "/rest",
  "rest.alpha.fal.ai": "/rest",
};

export const local = (href) => {
  const from = new URL(href);
  return from.host in prefixes ? `${url}${prefixes[from.host]}${from.pathname}${from.search}` : href;
};

const ways = {
  middleware: { requestMiddleware: async (request) => ({ ...request, url: local(request.url) }) },
  fetch: { fetch: (href, options) => fetch(local(String(href)), options) },
  proxy: { proxyUrl: { url: `${url}/api/fal/proxy`, when: "always" } },
};

export const client = (way, more = {}) =>
  createFalClient({ credentials: key, suppressLocalCredentialsWarning: true, ...ways[way], ...more });

// The address of realtime connections is built in: only the global can be replaced.
const Base = globalThis.WebSocket ?? NodeWebSocket;
globalThis.WebSocket = class extends Base {
  constructor(address, protocols) {
    super(String(address).replace("wss://fal.run/", `${url.replace("http", "ws")}/`), protocols);
  }
};
