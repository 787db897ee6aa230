// Controls for single values. Each keeps what was typed, also where it is wrong: the server is the judge.
import { useSignal } from "@preact/signals";

import { type Json, JsonError, NumberText, isNumberText, numberOf, parse, same, stringify } from "../json/lossless.ts";
import { Icon } from "../ui/icons.tsx";
import type { ControlProps } from "./field.tsx";
import { short } from "./field.tsx";
import type { Of } from "./schema.ts";

const INPUT_TYPES: Record<string, string> = { email: "email", uri: "url", url: "url", tel: "tel" };
/** Kinds whose field the browser empties when the value is none of theirs. */
const STRICT: Record<string, RegExp> = { date: /^(\d{4}-\d\d-\d\d)?$/, time: /^(\d\d:\d\d(:\d\d)?)?$/ };

// Typed as what it mostly is: these kinds differ in the keyboard that a phone shows.
const typeOf = (format: string, value: string): "text" => (STRICT[format]?.test(value) ? format : (INPUT_TYPES[format] ?? "text")) as "text";

export function StringControl({ node, id, value, set, aria, required }: ControlProps<Of<"string">>) {
  const shown = typeof value === "string" ? value : value === undefined ? "" : stringify(value);
  const hint = value === undefined && typeof node.initial === "string" ? node.initial : undefined;
  const common = {
    id, value: shown, placeholder: hint, required, autocomplete: "off", ...aria,
    minLength: node.least ?? undefined, pattern: undefined,
  };
  const input = (event: { currentTarget: { value: string } }) => set(event.currentTarget.value);
  const counter = node.most !== null && shown.length > node.most * 0.8 && (
    <span class={`counter ${shown.length > node.most ? "over" : "dim"}`}>{shown.length} of {node.most}</span>
  );
  if (node.multiline) {
    return (
      <>
        <textarea {...common} rows={Math.min(12, Math.max(3, shown.split("\n").length))} onInput={input} />
        {counter}
      </>
    );
  }
  if (node.secret) return <input {...common} type="password" autocomplete="new-password" onInput={input} />;
  return (
    <>
      <div class="row">
        <input {...common} type={typeOf(node.format, shown)} onInput={input} />
        {node.format === "color" && <input type="color" aria-label={`Pick ${node.title}`} value={/^#[0-9a-f]{6}$/i.test(shown || hint || "") ? shown || hint : "#000000"} onInput={input} />}
      </div>
      {counter}
    </>
  );
}

/** A random seed that every model takes. */
export const anySeed = (): number => Math.floor(Math.random() * 2 ** 32);

export function NumberControl({ node, id, value, set, aria, required }: ControlProps<Of<"number">>) {
  const shown = value === undefined || value === null ? "" : typeof value === "string" ? value : String(value);
  const hint = value === undefined && node.initial !== undefined && node.initial !== null ? String(node.initial) : undefined;
  const type = (text: string) => {
    const clean = text.trim().replace(/^\+/, "");
    if (!clean) set(undefined);
    else set(isNumberText(clean) ? numberOf(clean) : text);
  };
  const { low, high } = node;
  const slides = low && high && !node.seed && Math.abs(high.value) < 2 ** 53 && Math.abs(low.value) < 2 ** 53;
  const step = node.step === "any" ? (high && low ? (high.value - low.value) / 100 || 1 : 1) : Number(node.step);
  const now = Number(shown || hint || low?.value || 0);
  const place = (event: KeyboardEvent) => {
    const by = event.key === "ArrowUp" ? step : event.key === "ArrowDown" ? -step : 0;
    if (!by || !Number.isSafeInteger(Math.round(now)) || value instanceof NumberText) return;
    event.preventDefault();
    type(String(Number((now + by).toPrecision(12))));
  };
  const wrong = shown !== "" && outside(shown, node);
  return (
    <>
      <div class="number">
        {slides && (
          <input
            type="range" aria-label={`${node.title}, slider`} min={low.value} max={high.value} step={node.step === "any" ? step : node.step}
            value={now} onInput={(event) => type(event.currentTarget.value)}
          />
        )}
        <input
          id={id} type="text" inputMode={node.integer ? "numeric" : "decimal"} value={shown} placeholder={hint} required={required}
          autocomplete="off" {...aria} onKeyDown={place} onInput={(event) => type(event.currentTarget.value)}
        />
        {node.seed && (
          <button type="button" aria-label={`Roll ${node.title}`} title="A new seed" onClick={() => set(anySeed())}><Icon name="dice" /></button>
        )}
      </div>
      {wrong && <p class="hint"><Icon name="warn" /> {wrong}</p>}
    </>
  );
}

function outside(text: string, node: Of<"number">): string {
  if (!isNumberText(text)) return "this is no number; it is sent as text";
  const value = Number(text);
  if (node.low && (value < node.low.value || (node.low.exclusive && value === node.low.value))) return `must be ${node.low.exclusive ? "more than" : "at least"} ${node.low.text}`;
  if (node.high && (value > node.high.value || (node.high.exclusive && value === node.high.value))) return `must be ${node.high.exclusive ? "less than" : "at most"} ${node.high.text}`;
  return node.integer && /[.eE]/.test(text) ? "must be a whole number" : "";
}

export function BooleanControl({ node, id, value, set, aria, required }: ControlProps<Of<"boolean">>) {
  if (required && node.initial === undefined) {
    return (
      <div class="options" id={id} tabIndex={-1}>
        {[true, false].map((choice) => (
          <label key={String(choice)} class="check">
            <input type="radio" name={id} checked={value === choice} {...aria} onChange={() => set(choice)} /> {choice ? "Yes" : "No"}
          </label>
        ))}
      </div>
    );
  }
  const on = typeof value === "boolean" ? value : node.initial === true;
  return (
    <label class="check">
      <input id={id} type="checkbox" {...SWITCH} checked={on} {...aria} onChange={(event) => set(event.currentTarget.checked)} />
      {on ? "On" : "Off"}{value === undefined && <span class="dim"> (default)</span>}
    </label>
  );
}

const SWITCH = { role: "switch" as const };

export function EnumControl({ node, id, value, set, aria, required }: ControlProps<Of<"enum">>) {
  const effective = value === undefined ? node.initial : value;
  const chosen = effective === undefined ? -1 : node.options.findIndex((option) => same(option, effective));
  const label = (option: Json) => (typeof option === "string" ? option : stringify(option));
  if (node.options.length <= 5) {
    return (
      <div class="options" id={id} tabIndex={-1}>
        {node.options.map((option, n) => (
          <label key={label(option)} class="check">
            <input type="radio" name={id} checked={n === chosen} onChange={() => set(option)} /> {label(option)}
          </label>
        ))}
        {chosen < 0 && value !== undefined && <span class="dim">now: {short(value)}</span>}
      </div>
    );
  }
  if (node.options.length <= 12) {
    return (
      <select id={id} required={required} {...aria} value={String(chosen)} onChange={(event) => set(node.options[Number(event.currentTarget.value)])}>
        {chosen < 0 && <option value="-1">{value === undefined ? "Choose…" : short(value)}</option>}
        {node.options.map((option, n) => <option key={n} value={String(n)}>{label(option)}{value === undefined && n === chosen ? " (default)" : ""}</option>)}
      </select>
    );
  }
  const shown = value === undefined ? "" : label(value);
  return (
    <>
      <input
        id={id} list={`${id}-all`} value={shown} required={required} autocomplete="off" {...aria}
        placeholder={chosen >= 0 ? label(node.options[chosen] ?? null) : `one of ${node.options.length}: type to search`}
        onInput={(event) => {
          const text = event.currentTarget.value;
          set(text === "" && !required ? undefined : (node.options.find((option) => label(option) === text) ?? text));
        }}
      />
      <datalist id={`${id}-all`}>{node.options.map((option) => <option key={label(option)} value={label(option)} />)}</datalist>
    </>
  );
}

/** For what has no control: its JSON. */
export function JsonControl({ node, id, value, set, aria }: ControlProps<Of<"json">>) {
  const typed = useSignal<string | null>(null);
  const wrong = useSignal("");
  const shown = typed.value ?? (value === undefined ? "" : stringify(value, 2));
  const take = (text: string) => {
    typed.value = text;
    try {
      set(text.trim() ? parse(text) : undefined);
      wrong.value = "";
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      wrong.value = error.message;
    }
  };
  return (
    <>
      <p class="help">As JSON: {node.reason}.</p>
      <textarea id={id} class="code" rows={3} spellcheck={false} value={shown} {...aria} onInput={(event) => take(event.currentTarget.value)} onBlur={() => !wrong.value && (typed.value = null)} />
      {wrong.value && <p class="hint"><Icon name="warn" /> {wrong.value}</p>}
    </>
  );
}
