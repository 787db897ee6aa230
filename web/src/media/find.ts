// Which media an output holds: objects with a `url`, as our media types write them, and addresses that look like one.
import { type Json, isObject } from "../json/lossless.ts";

export interface Found {
  url: string;
  type: string;
  name: string;
  width: number | null;
  height: number | null;
  size: number | null;
  place: string;
}

const BY_NAME: Record<string, string> = {
  png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", webp: "image/webp", gif: "image/gif", avif: "image/avif", svg: "image/svg+xml", bmp: "image/bmp",
  mp4: "video/mp4", webm: "video/webm", mov: "video/quicktime", wav: "audio/wav", mp3: "audio/mpeg", ogg: "audio/ogg", flac: "audio/flac", m4a: "audio/mp4",
  zip: "application/zip", tar: "application/x-tar", gz: "application/gzip", glb: "model/gltf-binary", obj: "model/obj", ply: "model/ply", pdf: "application/pdf",
};
const MOST = 200;

export function typeOf(url: string, said = ""): string {
  if (said) return said.split(";")[0]!.trim().toLowerCase();
  if (url.startsWith("data:")) return url.slice(5, url.indexOf(",")).split(";")[0] || "text/plain";
  const name = url.split(/[?#]/)[0] ?? "";
  return BY_NAME[(name.split(".").pop() ?? "").toLowerCase()] ?? "";
}

const address = (text: string): boolean => /^(https?:\/\/|data:[a-z]+\/)/i.test(text) && !/\s/.test(text.slice(0, 2000));

export function media(value: Json, place = ""): Found[] {
  const found: Found[] = [];
  const walk = (node: Json, at: string): void => {
    if (found.length >= MOST) return;
    if (typeof node === "string") {
      if (address(node) && typeOf(node)) found.push({ url: node, type: typeOf(node), name: nameOf(node), width: null, height: null, size: null, place: at });
    } else if (Array.isArray(node)) {
      node.forEach((item, n) => walk(item, `${at}[${n}]`));
    } else if (isObject(node)) {
      if (typeof node.url === "string" && address(node.url)) {
        const number = (name: string) => (typeof node[name] === "number" ? (node[name] as number) : null);
        const said = typeof node.content_type === "string" ? node.content_type : "";
        found.push({
          url: node.url, type: typeOf(node.url, said), name: typeof node.file_name === "string" ? node.file_name : nameOf(node.url),
          width: number("width"), height: number("height"), size: number("file_size"), place: at,
        });
        return;
      }
      for (const name of Object.keys(node)) walk(node[name] ?? null, at ? `${at}.${name}` : name);
    }
  };
  walk(value, place);
  return found;
}

function nameOf(url: string): string {
  if (url.startsWith("data:")) return "in the output itself";
  try {
    return decodeURIComponent(new URL(url).pathname.split("/").pop() ?? "") || url;
  } catch {
    return url;
  }
}
