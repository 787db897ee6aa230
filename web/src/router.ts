// Addresses: every page, filter and tab is in the URL. `navigate` and plain links do the same.
import { signal } from "@preact/signals";

import { prefix } from "./place.ts";

export interface Address {
  /** Below `/ui`, decoded, without a final slash; `/` is Home. */
  path: string;
  query: URLSearchParams;
  hash: string;
}

export interface Match {
  name: string;
  params: Record<string, string>;
}

/** Patterns by page: `:name` is one segment, `*name` the rest. The first that fits wins. */
export const ROUTES: readonly (readonly [string, string])[] = [
  ["/", "home"],
  ["/apps", "apps"],
  ["/apps/*endpoint", "playground"],
  ["/requests", "requests"],
  ["/requests/:id", "request"],
  ["/compare", "compare"],
  ["/errors", "errors"],
  ["/runners", "runners"],
  ["/deliveries", "deliveries"],
  ["/keys", "keys"],
  ["/settings", "settings"],
  ["/sign-in", "sign-in"],
];

export function match(path: string, routes = ROUTES): Match {
  const given = path.split("/").filter(Boolean);
  for (const [pattern, name] of routes) {
    const wanted = pattern.split("/").filter(Boolean);
    const params: Record<string, string> = {};
    const fits = wanted.every((part, n) => {
      if (part.startsWith("*")) {
        params[part.slice(1)] = given.slice(n).join("/");
        return n < given.length;
      }
      const value = given[n];
      if (value === undefined) return false;
      if (part.startsWith(":")) params[part.slice(1)] = value;
      return part.startsWith(":") || part === value;
    });
    const open = wanted.at(-1)?.startsWith("*");
    if (fits && (open || given.length === wanted.length)) return { name, params };
  }
  return { name: "lost", params: {} };
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function read(): Address {
  const base = `${prefix}/ui`;
  const below = location.pathname.startsWith(base) ? location.pathname.slice(base.length) : location.pathname;
  return {
    path: decoded(below).replace(/\/+$/, "") || "/",
    query: new URLSearchParams(location.search),
    hash: location.hash.slice(1),
  };
}

export const address = signal<Address>(read());

/** The address of a page, for `href`. */
export const href = (to: string): string => `${prefix}/ui${to === "/" ? "/" : to}`;

/** The address of an app's playground, from an endpoint id. */
export const playground = (endpoint: string): string => href(`/apps/${endpoint}`);

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  history[options.replace ? "replaceState" : "pushState"](null, "", href(to));
  address.value = read();
}

/** Change the query of this page; empty values are left out. A filter replaces, a tab adds to the history. */
export function setQuery(changes: Record<string, string | null>, options: { push?: boolean } = {}): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  const text = query.toString();
  history[options.push ? "pushState" : "replaceState"](null, "", location.pathname + (text ? `?${text}` : "") + location.hash);
  address.value = read();
}

function clicked(event: MouseEvent): void {
  if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element | null)?.closest?.("a[href]") as HTMLAnchorElement | null;
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (!link.pathname.startsWith(`${prefix}/ui/`) || link.pathname.startsWith(`${prefix}/ui/static/`)) return;
  if (link.pathname === location.pathname && link.search === location.search && link.hash) {
    return; // a place on this page: the browser goes there, and `hashchange` tells us
  }
  event.preventDefault();
  if (link.href !== location.href) history.pushState(null, "", link.href);
  address.value = read();
}

export function startRouter(): void {
  addEventListener("popstate", () => (address.value = read()));
  addEventListener("hashchange", () => (address.value = read()));
  document.addEventListener("click", clicked);
}
