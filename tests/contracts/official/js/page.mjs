// The page under test: @fal-ai/client as a bundler delivers it, in a browser, with a gateway on another origin.
import { createFalClient, ValidationError } from "@fal-ai/client";

const { gateway, key } = window.SETTINGS;

const prefixes = { "fal.run": "", "queue.fal.run": "/queue", "rest.fal.ai": "/rest" };
const local = (href) => {
  const from = new URL(href);
  return from.host in prefixes ? `${gateway}${prefixes[from.host]}${from.pathname}${from.search}` : href;
};

const Base = window.WebSocket;
window.WebSocket = class extends Base {
  constructor(address, protocols) {
    super(String(address).replace("wss://fal.run/", `${gateway.replace("http", "ws")}/`), protocols);
  }
};

const ways = {
  middleware: { requestMiddleware: async (request) => ({ ...request, url: local(request.url) }) },
  fetch: { fetch: (href, options) => fetch(local(String(href)), options) },
  proxy: { proxyUrl: `${gateway}/api/fal/proxy` },
};
const client = (way) => createFalClient({ credentials: key, suppressLocalCredentialsWarning: true, ...ways[way] });

const follow = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
};

const subscribe = (mode) => async (fal) => {
  const updates = [];
  const { data, requestId } = await fal.subscribe("acme/desk", {
    input: { prompt: "a cat", steps: 3 }, logs: true, mode, pollInterval: 50, onQueueUpdate: (update) => updates.push(update),
  });
  return { data, requestId, logs: updates.at(-1).logs.map((line) => line.message) };
};

const cases = {
  run: async (fal) => fal.run("acme/desk", { input: { prompt: "a fox" } }),
  subscribePolling: subscribe("polling"),
  subscribeStreaming: subscribe("streaming"),
  stream: async (fal) => follow(await fal.stream("acme/desk", { input: { words: 4 } })),
  streamWithToken: async (fal) =>
    follow(await fal.stream("acme/desk", { input: { words: 4 }, connectionMode: "client" })),
  cancel: async (fal) => {
    const { request_id: requestId } = await fal.queue.submit("acme/desk/wait", { input: {} });
    await fal.queue.cancel("acme/desk", { requestId });
    for (;;) {
      const status = await fal.queue.status("acme/desk", { requestId });
      if (status.status === "COMPLETED") return status;
    }
  },
  upload: async (fal) => {
    const href = await fal.storage.upload(new File(["from a page"], "page.txt", { type: "text/plain" }));
    const picked = document.querySelector("input").files[0];
    const { data } = await fal.run("acme/desk/weigh", { input: { file: picked ?? new Blob(["picked"]) } });
    return { text: await (await fetch(href)).text(), size: data.files[0].size };
  },
  realtime: async (fal) =>
    new Promise((resolve, reject) => {
      const results = [];
      const stroke = () => ({ prompt: `p${results.length}`, image_bytes: new Uint8Array([1, 255]), scale: 1.5 });
      const connection = fal.realtime.connect("acme/desk", {
        throttleInterval: 0,
        onError: reject,
        onResult: (result) => {
          results.push({ ...result, image: [...result.image] });
          if (results.length < 3) return connection.send(stroke());
          connection.close();
          resolve(results);
        },
      });
      connection.send(stroke());
    }),
  error: async (fal) => {
    try {
      await fal.run("acme/desk", { input: { prompt: "a fox", steps: 1000 } });
    } catch (error) {
      return {
        validation: error instanceof ValidationError, status: error.status, requestId: error.requestId,
        fields: error.fieldErrors.map((field) => field.loc),
      };
    }
  },
  plainFetch: async () => {
    const answer = await fetch(`${gateway}/acme/desk`, {
      method: "POST", headers: { authorization: `Key ${key}`, "content-type": "application/json" }, body: '{"prompt": "p"}',
    });
    return { status: answer.status, requestId: answer.headers.get("x-fal-request-id") };
  },
  // No preflight asks before this one: what it would do, it does.
  simplePost: async () => {
    await fetch(`${gateway}/acme/desk`, { method: "POST", mode: "no-cors", body: '{"prompt": "p"}' });
    return "sent";
  },
  plainSocket: async () =>
    new Promise((resolve) => {
      const socket = new Base(`${gateway.replace("http", "ws")}/acme/desk/realtime`);
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("refused");
    }),
};

window.run = (name, way) => cases[name](client(way));
document.title = "ready";
