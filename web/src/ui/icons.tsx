// Drawn here, 16 x 16, in the colour of the text: no icon font, no outside request.
const SHAPES = {
  home: "M2 8l6-5 6 5M4 7v6h8V7",
  play: "M4 3l9 5-9 5z",
  list: "M2 4h12M2 8h12M2 12h12",
  runner: "M3 4h10v6H3zM6 13h4M8 10v3",
  hook: "M5 3a3 3 0 016 0c0 2-3 2-3 5M8 8a3 3 0 11-3 3",
  key: "M10 6a3 3 0 11-3 3L2 14M4 12l2 2",
  gear: "M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v3M8 12v3M1 8h3M12 8h3M3 3l2 2M11 11l2 2M3 13l2-2M11 5l2-2",
  warn: "M8 2l6 12H2zM8 6v4M8 12v.5",
  ok: "M3 8l3.5 4L13 4",
  error: "M4 4l8 8M12 4l-8 8",
  cancelled: "M3 8h10",
  queued: "M8 2a6 6 0 100 12A6 6 0 008 2zM8 5v3l2 2",
  running: "M5 3l8 5-8 5z",
  search: "M7 3a4 4 0 100 8 4 4 0 000-8zM10 10l4 4",
  sun: "M8 5a3 3 0 100 6 3 3 0 000-6zM8 1v2M8 13v2M1 8h2M13 8h2",
  copy: "M5 5V2h9v9h-3M2 5h9v9H2z",
  close: "M4 4l8 8M12 4l-8 8",
  more: "M3 8h.5M8 8h.5M13 8h.5",
  up: "M8 13V3M4 7l4-4 4 4",
  down: "M8 3v10M4 9l4 4 4-4",
  plus: "M8 3v10M3 8h10",
  dice: "M3 3h10v10H3zM6 6h.5M10 10h.5M10 6h.5M6 10h.5",
  camera: "M2 5h3l1-2h4l1 2h3v8H2zM8 7a2 2 0 100 4 2 2 0 000-4z",
  mic: "M8 2a2 2 0 00-2 2v4a2 2 0 004 0V4a2 2 0 00-2-2zM4 8a4 4 0 008 0M8 12v2",
  file: "M4 2h5l3 3v9H4zM9 2v3h3",
  link: "M7 9a3 3 0 004 0l2-2a3 3 0 00-4-4L8 4M9 7a3 3 0 00-4 0L3 9a3 3 0 004 4l1-1",
  history: "M3 8a5 5 0 105-5H4M4 1v3h3M8 5v3l2 2",
} as const;

export type IconName = keyof typeof SHAPES;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} />
    </svg>
  );
}
