// A receiver of Pondage's webhooks with Express. Checks the Standard Webhooks headers with Node's own crypto; the
// npm package `standardwebhooks` does the same: new Webhook(secret).verify(body, headers).
//
//   npm install express
//   PONDAGE_WEBHOOK_SECRET=$(pondage webhooks secret) PORT=3000 node express_app.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import express from "express";

const key = Buffer.from(process.env.PONDAGE_WEBHOOK_SECRET.replace(/^whsec_/, ""), "base64");
const tolerance = 300; // seconds
const seen = new Set(); // a real receiver remembers ids in its database, with what it did about them

export function signed(headers, body, now = Date.now() / 1000) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  if (!id || !(Math.abs(now - Number(timestamp)) <= tolerance)) return false;
  const expected = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  return (headers["webhook-signature"] ?? "").split(" ").some((part) => {
    const given = Buffer.from(part.replace(/^v1,/, ""), "base64");
    return part.startsWith("v1,") && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const app = express();

// The signature covers the bytes as they came: read them raw, and parse them afterwards.
app.post("/hook", express.raw({ type: "*/*", limit: "50mb" }), (request, response) => {
  if (!signed(request.headers, request.body)) return response.status(401).send("not signed by our Pondage");
  const id = request.headers["webhook-id"];
  if (!seen.has(id)) {
    seen.add(id);
    const event = JSON.parse(request.body);
    console.log(event.request_id, event.type ?? "completed", JSON.stringify(event.payload ?? event.error ?? null));
  }
  response.status(204).end();
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () =>
  console.log(`listening on ${server.address().port}`),
);
