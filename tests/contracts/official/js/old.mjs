// The same with the deprecated @fal-ai/serverless-client, whose calls return the bare output.
import * as fal from "@fal-ai/serverless-client";
import { key, local } from "./fal.mjs";

fal.config({ credentials: key, requestMiddleware: async (request) => ({ ...request, url: local(request.url) }) });

export const oldRun = async () => fal.run("acme/desk", { input: { prompt: "a fox" } });

export const oldSubscribe = async () => {
  const updates = [];
  const data = await fal.subscribe("acme/desk", {
    input: { prompt: "a cat", steps: 3 }, logs: true, pollInterval: 50, onQueueUpdate: (update) => updates.push(update),
  });
  return { data, states: updates.map((update) => update.status), logs: updates.at(-1).logs.map((line) => line.message) };
};

export const oldQueue = async () => {
  const { request_id: requestId } = await fal.queue.submit("acme/desk", { input: { prompt: "a hen" } });
  while ((await fal.queue.status("acme/desk", { requestId, logs: true })).status !== "COMPLETED");
  return fal.queue.result("acme/desk", { requestId });
};

export const oldStream = async () => {
  // Its iterator drops what has not been read when the stream ends, so the events are listened to.
  const events = [];
  const stream = await fal.stream("acme/desk", { input: { words: 3 } });
  stream.on("data", (event) => events.push(event));
  await stream.done();
  return events;
};

export const oldUpload = async () => {
  const href = await fal.storage.upload(new Blob(["older"], { type: "text/plain" }));
  const weighed = await fal.run("acme/desk/weigh", { input: { file: new Blob(["by itself"]) } });
  return { text: await (await fetch(href)).text(), size: weighed.files[0].size };
};

export const oldRealtime = async () =>
  new Promise((resolve, reject) => {
    const connection = fal.realtime.connect("acme/desk", {
      throttleInterval: 0,
      onResult: (result) => {
        connection.close();
        resolve(result);
      },
      onError: reject,
    });
    connection.send({ prompt: "p", scale: 0.5 });
  });

export const oldError = async () => {
  try {
    await fal.run("acme/desk", { input: { prompt: "a fox", steps: 1000 } });
  } catch (error) {
    return { name: error.constructor.name, status: error.status, fields: error.fieldErrors };
  }
};
