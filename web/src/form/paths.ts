// Places in an input, and what is wrong at each.
import { type Json, type JsonObject, isObject, put } from "../json/lossless.ts";

export type Step = string | number;
export type Path = readonly Step[];

/** A name for a path, for maps and for the ids of elements. */
export const key = (path: Path): string => path.map((step) => encodeURIComponent(String(step))).join("/");

/** The value with one place changed; undefined takes the place out. Nothing else becomes another object. */
export function changed(whole: Json | undefined, path: Path, value: Json | undefined): Json | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return value;
  if (typeof step === "number") {
    const items = Array.isArray(whole) ? [...whole] : [];
    const inner = changed(items[step], rest, value);
    if (inner === undefined) items.splice(step, 1);
    else items[step] = inner;
    return items;
  }
  const made: JsonObject = {};
  if (isObject(whole)) for (const name of Object.keys(whole)) put(made, name, whole[name] ?? null);
  const inner = changed(isObject(whole) && Object.hasOwn(whole, step) ? whole[step] : undefined, rest, value);
  if (inner === undefined) delete made[step];
  else put(made, step, inner);
  return made;
}

export function at(whole: Json | undefined, path: Path): Json | undefined {
  let value = whole;
  for (const step of path) {
    if (typeof step === "number") value = Array.isArray(value) ? value[step] : undefined;
    else value = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

export interface Problem {
  path: Path;
  message: string;
}

/** The fields of a 422, by the longest part of each `loc` that is a place in the value. */
export function problems(detail: Json, value: Json | undefined): Problem[] {
  if (!Array.isArray(detail)) return [];
  return detail.filter(isObject).map((one) => {
    const loc = Array.isArray(one.loc) ? one.loc : [];
    const steps = loc.slice(loc[0] === "body" ? 1 : 0).filter((step): step is Step => typeof step === "string" || typeof step === "number");
    return { path: place(steps, value), message: String(one.msg ?? "does not fit") };
  });
}

/** Pydantic names the branch of a union between the steps; what is no member, and leads on without it, is left out. */
function place(steps: Step[], value: Json | undefined): Path {
  const path: Step[] = [];
  let here = value;
  steps.forEach((step, n) => {
    const last = n === steps.length - 1;
    const inside = typeof step === "number" ? Array.isArray(here) && step < here.length : isObject(here) && Object.hasOwn(here, step);
    if (inside) {
      path.push(step);
      here = at(here, [step]);
    } else if (last && isObject(here) && typeof step === "string" && !/[(\[]/.test(step)) {
      path.push(step); // a member that is missing
      here = undefined;
    }
  });
  return path;
}
