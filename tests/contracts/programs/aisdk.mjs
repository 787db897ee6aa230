// The Vercel AI SDK with its provider for fal.
import { createFal } from "@ai-sdk/fal";
import { generateImage } from "ai";

const fal = createFal({ baseURL: process.env.GATEWAY_URL, apiKey: "a:b" });
const { image } = await generateImage({ model: fal.image("fal-ai/flux/dev"), prompt: "a fox" });
process.stdout.write(`\n${JSON.stringify({ type: image.mediaType, size: image.uint8Array.length })}\n`);
