// What an application does with @fal-ai/client; each case returns what pytest then looks at.
import { createHash } from "node:crypto";
import { ApiError, ValidationError } from "@fal-ai/client";
import { client, key, url } from "./fal.mjs";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const read = async (href) => new Uint8Array(await (await fetch(href)).arrayBuffer());

const refused = async (promise) => {
  try {
    await promise;
    return { refused: false };
  } catch (error) {
    return {
      refused: true,
      kind: error instanceof ValidationError ? "ValidationError" : error instanceof ApiError ? "ApiError" : error.name,
      status: error.status,
      message: error.message,
      body: error.body,
      requestId: error.requestId,
      fields: error instanceof ValidationError ? error.fieldErrors : undefined,
      userTimeout: error.isUserTimeout,
    };
  }
};

const poll = async (fal, id, requestId, wanted) => {
  for (;;) {
    const status = await fal.queue.status(id, { requestId });
    if (status.status === wanted) return status;
  }
};

export const run = async (fal) => {
  const { data, requestId } = await fal.run("acme/desk", { input: { prompt: "a fox", guidance: 2 } });
  return { data, requestId, picture: Buffer.from(await read(data.picture.url)).toString() };
};

export const runByGet = async (fal) => fal.run("acme/desk/said", { method: "get", input: {} });

export const headers = async (fal) => {
  const { request_id } = await fal.queue.submit("acme/desk/said", {
    input: {}, hint: "sticky", priority: "low", startTimeout: 30, headers: { "x-my-header": "here" },
    storageSettings: { expiresIn: "1h" },
  });
  await poll(fal, "acme/desk", request_id, "COMPLETED");
  return (await fal.queue.result("acme/desk", { requestId: request_id })).data.headers;
};

const subscribe = (mode) => async (fal) => {
  const updates = [];
  const enqueued = [];
  const result = await fal.subscribe("acme/desk", {
    input: { prompt: "a cat", steps: 3 }, logs: true, mode, pollInterval: 50,
    onEnqueue: (id) => enqueued.push(id), onQueueUpdate: (update) => updates.push(update),
  });
  const last = updates.at(-1);
  return {
    ...result, enqueued, states: updates.map((update) => update.status),
    logs: last.logs.map((line) => line.message), level: last.logs[0]?.level, metrics: last.metrics,
  };
};
export const subscribePolling = subscribe("polling");
export const subscribeStreaming = subscribe("streaming");

export const queue = async (fal) => {
  const submitted = await fal.queue.submit("acme/desk", { input: { prompt: "a hen" }, webhookUrl: "http://127.0.0.1:9/" });
  const requestId = submitted.request_id;
  const completed = await fal.queue.subscribeToStatus("acme/desk", { requestId, pollInterval: 50, logs: true });
  const result = await fal.queue.result("acme/desk", { requestId });
  return { submitted, completed, result };
};

export const streamStatus = async (fal) => {
  const { request_id: requestId } = await fal.queue.submit("acme/desk/wait", { input: { seconds: 0.3 } });
  const events = [];
  for await (const event of await fal.queue.streamStatus("acme/desk", { requestId, logs: true })) events.push(event);
  return { states: events.map((event) => event.status), logs: events.flatMap((event) => event.logs ?? []).length };
};

export const cancel = async (fal) => {
  const { request_id: requestId } = await fal.queue.submit("acme/desk/wait", { input: { seconds: 60 } });
  await poll(fal, "acme/desk", requestId, "IN_PROGRESS");
  await fal.queue.cancel("acme/desk", { requestId });
  const status = await poll(fal, "acme/desk", requestId, "COMPLETED");
  return { status, result: await refused(fal.queue.result("acme/desk", { requestId })) };
};

export const abort = async (fal) => {
  const controller = new AbortController();
  const result = refused(
    fal.subscribe("acme/desk/wait", {
      input: { seconds: 1 }, pollInterval: 50, abortSignal: controller.signal, onQueueUpdate: () => controller.abort(),
    }),
  );
  return result;
};

const follow = async (stream) => {
  const events = [];
  for await (const event of stream) events.push(event);
  return { events, done: await stream.done() };
};
export const stream = async (fal) => follow(await fal.stream("acme/desk", { input: { words: 4 } }));
export const streamFromBrowser = async (fal) =>
  follow(await fal.stream("acme/desk", { input: { words: 4 }, connectionMode: "client" }));
export const streamThatBreaks = async (fal) =>
  follow(await fal.stream("acme/desk", { input: { words: 4, fail_at: 2 } }));

export const upload = async (fal) => {
  const href = await fal.storage.upload(new Blob(["from a blob"], { type: "text/plain" }), {
    lifecycle: { expiresIn: "1h" },
  });
  const answer = await fetch(href);
  return { href, text: await answer.text(), type: answer.headers.get("content-type") };
};

export const uploadByItself = async (fal) => {
  const blobs = ["one", "three"].map((text) => new Blob([text], { type: "application/octet-stream" }));
  const { data } = await fal.run("acme/desk/weigh", { input: { file: blobs[0], also: [blobs[1]] } });
  return data.files;
};

export const uploadInParts = async (fal) => {
  const pattern = new Uint8Array(1024 * 1024).map((_, i) => i % 251);
  const blob = new Blob([...Array(91).fill(pattern), "end"], { type: "video/mp4" });
  const href = await fal.storage.upload(blob);
  const content = await read(href);
  return { size: content.length, same: sha256(content) === sha256(new Uint8Array(await blob.arrayBuffer())) };
};

export const errors = async (fal) => ({
  validation: await refused(fal.run("acme/desk", { input: { prompt: "a fox", steps: 1000 } })),
  queued: await refused(fal.subscribe("acme/desk", { input: { prompt: "" }, pollInterval: 50 })),
  policy: await refused(fal.run("acme/desk/refuse", { input: {} })),
  teapot: await refused(fal.run("acme/desk/refuse", { input: { status: 418 } })),
  crash: await refused(fal.run("acme/echo/fail", { input: {} })),
  unknown: await refused(fal.run("acme/nothing", { input: {} })),
});

export const wrongKey = async (_, way) => {
  const fal = client(way, { credentials: "any:thing" });
  return { run: await refused(fal.run("acme/desk", { input: {} })), submit: await refused(fal.queue.submit("acme/desk", {})) };
};

const talk = (fal, endpoint, options, messages, wanted) =>
  new Promise((resolve, reject) => {
    const results = [];
    const connection = fal.realtime.connect(endpoint, {
      throttleInterval: 0,
      ...options,
      onResult: (result) => {
        results.push(result);
        if (results.length < wanted) {
          if (messages.length) connection.send(messages.shift());
          return;
        }
        connection.close();
        resolve(results);
      },
      onError: (error) => {
        connection.close();
        reject(error);
      },
    });
    connection.send(messages.shift());
  });

const plain = (result) => ({ ...result, image: result.image && [...result.image] });
const strokes = () => [1, 2, 3].map((n) => ({ prompt: `p${n}`, image_bytes: new Uint8Array([n, 255]), scale: 1.5 }));

export const realtime = async (fal) => (await talk(fal, "acme/desk", { maxBuffering: 5 }, strokes(), 3)).map(plain);

export const realtimeWithOwnTokens = async (fal) => {
  const asked = [];
  const tokenProvider = async (app) => {
    asked.push(app);
    const answer = await fetch(`${url}/rest/tokens/realtime`, {
      method: "POST",
      headers: { authorization: `Key ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ allowed_apps: [app], duration: 120 }),
    });
    return (await answer.json()).token;
  };
  const results = await talk(fal, "acme/desk", { tokenProvider, tokenExpirationSeconds: 120 }, strokes(), 3);
  return { asked, results: results.map(plain) };
};

export const realtimeText = async (fal) =>
  talk(fal, "acme/desk", { encodeMessage: (message) => JSON.stringify(message) }, [{ prompt: "as text" }], 1);

export const realtimeManyAnswers = async (fal) =>
  talk(fal, "acme/desk", { path: "/telling/realtime" }, [{ count: 3 }], 3);

export const realtimeError = async (fal) => refused(talk(fal, "acme/desk", {}, [{ prompt: "fail" }], 1));

export const realtimeWrongToken = async (fal) =>
  refused(talk(fal, "acme/desk", { tokenProvider: async () => "nonsense" }, [{ prompt: "p" }], 1));
