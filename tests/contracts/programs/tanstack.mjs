// TanStack AI with its adapter for fal, through the proxy's address.
import { generateImage } from "@tanstack/ai";
import { falImage } from "@tanstack/ai-fal";

const proxy = { url: `${process.env.GATEWAY_URL}/api/fal/proxy`, when: "always" };
const adapter = falImage("fal-ai/flux/dev", { apiKey: "a:b", proxyUrl: proxy });
const { images } = await generateImage({ adapter, prompt: "a fox" });
process.stdout.write(`\n${JSON.stringify({ url: images[0].url })}\n`);
