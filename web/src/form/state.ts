// What a form holds: the value, the drafts of branches that are not chosen, what is wrong where, what still uploads.
import { type Signal, computed, signal } from "@preact/signals";

import { type Json, JsonError, parse, same, stringify } from "../json/lossless.ts";
import { type Path, type Problem, at, changed, key } from "./paths.ts";
import { type Node, beginning } from "./schema.ts";

export class FormState {
  readonly node: Node;
  readonly value: Signal<Json>;
  /** What was typed into the JSON tab, as it was typed; null when the form was changed since. */
  readonly typed = signal<string | null>(null);
  readonly wrong = signal<JsonError | null>(null);
  readonly problems = signal<Problem[]>([]);
  readonly uploading = signal(0);
  readonly drafts = new Map<string, Json>();

  constructor(node: Node, value?: Json) {
    this.node = node;
    this.value = signal(value ?? beginning(node, true) ?? {});
  }

  /** The text of the JSON tab, which is also what is sent. */
  readonly text = computed(() => this.typed.value ?? stringify(this.value.value, 2));

  readonly byPlace = computed(() => {
    const places = new Map<string, string[]>();
    for (const one of this.problems.value) {
      const name = key(one.path);
      places.set(name, [...(places.get(name) ?? []), one.message]);
    }
    return places;
  });

  at(path: Path): Json | undefined {
    return at(this.value.value, path);
  }

  set(path: Path, value: Json | undefined): void {
    const before = this.at(path);
    if (before === value || (before !== undefined && value !== undefined && same(before, value))) return;
    this.value.value = changed(this.value.value, path, value) ?? {};
    this.typed.value = null;
    this.wrong.value = null;
    const name = key(path);
    this.problems.value = this.problems.value.filter((one) => key(one.path) !== name);
  }

  /** Put in a whole value, as from an earlier request. */
  replace(value: Json): void {
    this.value.value = value;
    this.typed.value = null;
    this.wrong.value = null;
    this.problems.value = [];
  }

  /** Take what is typed into the JSON tab. The form follows as soon as it is JSON. */
  type(text: string): void {
    this.typed.value = text;
    try {
      this.value.value = parse(text);
      this.wrong.value = null;
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      this.wrong.value = error;
    }
  }
}
