// node proxy.mjs express|hono|next: fal's server-proxy before a gateway, and fal's client behind it.
import { createFalClient } from "@fal-ai/client";

const [framework] = process.argv.slice(2);
const gateway = process.env.GATEWAY_URL;

// Server: which addresses it may open, and the gateway's key.
const config = {
  allowedUrlPatterns: [`${new URL(gateway).host}/**`],
  allowedEndpoints: ["fal-ai/**", "queue/fal-ai/**"],
  allowUnauthorizedRequests: true,
  resolveFalAuth: async () => "Key a:b",
};

async function start() {
  if (framework === "express") {
    const { default: express } = await import("express");
    const { createHandler } = await import("@fal-ai/server-proxy/express");
    const app = express();
    app.use(express.json());
    app.all("/api/fal/proxy", createHandler(config));
    return new Promise((ready) => {
      const server = app.listen(0, "127.0.0.1", () => ready(server.address().port));
    });
  }
  if (framework === "next") {
    const { createServer } = await import("node:http");
    const { createRouteHandler } = await import("@fal-ai/server-proxy/nextjs");
    const { NextRequest } = await import("next/server.js");
    const route = createRouteHandler(config); // what app/api/fal/proxy/route.ts exports
    const server = createServer(async (from, to) => {
      const body = from.method === "GET" || from.method === "HEAD" ? undefined : Buffer.concat(await from.toArray());
      const request = new NextRequest(`http://127.0.0.1${from.url}`, { method: from.method, headers: from.headers, body });
      const answer = await route[from.method](request);
      to.writeHead(answer.status, Object.fromEntries(answer.headers)).end(Buffer.from(await answer.arrayBuffer()));
    });
    return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server.address().port)));
  }
  const { Hono } = await import("hono");
  const { serve } = await import("@hono/node-server");
  const { createRouteHandler } = await import("@fal-ai/server-proxy/hono");
  const app = new Hono();
  app.all("/api/fal/proxy", createRouteHandler(config));
  return new Promise((ready) => serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (at) => ready(at.port)));
}

const proxy = `http://127.0.0.1:${await start()}/api/fal/proxy`;
const local = (href) =>
  href.replace("https://queue.fal.run", `${gateway}/queue`).replace("https://fal.run", gateway);

// Browser: the proxy's address, and the gateway's in place of fal's.
const fal = createFalClient({
  credentials: "unused",
  requestMiddleware: async (request) => ({
    ...request,
    url: proxy,
    headers: { ...request.headers, "x-fal-target-url": local(request.url) },
  }),
});
const ran = await fal.run("fal-ai/flux/dev", { input: { prompt: "a fox" } });
const subscribed = await fal.subscribe("fal-ai/flux/dev", { input: { prompt: "two foxes" }, mode: "polling" });
const said = { ran: ran.data.prompt, subscribed: subscribed.data.prompt };
process.stdout.write(`\n${JSON.stringify(said)}\n`, () => process.exit(0));
