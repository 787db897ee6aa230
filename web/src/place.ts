// Where this page is: the path before `/ui`, which `public_url` may give, and the build that the browser runs.
const module = new URL(import.meta.url).pathname;
const at = module.indexOf("/ui/static/");

/** The path before `/ui`, without a final slash; empty at the root. */
export const prefix = at < 0 ? "" : module.slice(0, at);

/** The id of the built files; empty under `make web-dev`. */
export const build = at < 0 ? "" : (module.slice(at + 11).split("/")[0] ?? "");

/** A path of this server, below the prefix. */
export const path = (rest: string): string => prefix + rest;

/** The origin and prefix that a caller uses for this server. */
export const origin = (): string => location.origin + prefix;

/** Whether the browser gives this page a clipboard, a camera, a microphone. */
export const secure = window.isSecureContext;
