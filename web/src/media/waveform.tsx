// Sound with its shape. Up to 20 MB are decoded for the picture; beyond that the player alone has to do.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const MOST = 20_000_000;
const BARS = 240;

export function Waveform({ url, name, fail }: { url: string; name: string; fail: () => void }) {
  const peaks = useSignal<number[]>([]);
  const canvas = useRef<HTMLCanvasElement>(null);
  const audio = useRef<HTMLAudioElement>(null);
  const at = useSignal(0);
  useEffect(() => {
    if (!url) return;
    const leaving = new AbortController();
    peaksOf(url, leaving.signal).then((found) => (peaks.value = found), () => undefined); // no picture: the player says what is wrong
    return () => leaving.abort();
  }, [url]);
  useEffect(() => {
    if (canvas.current && peaks.value.length) draw(canvas.current, peaks.value, at.value);
  }, [peaks.value, at.value]);
  const seek = (share: number) => {
    const player = audio.current;
    if (player && Number.isFinite(player.duration)) player.currentTime = Math.min(1, Math.max(0, share)) * player.duration;
  };
  return (
    <div class="waveform">
      {peaks.value.length > 0 && (
        <canvas ref={canvas} width={960} height={120} aria-hidden="true" onClick={(event) => seek(event.offsetX / event.currentTarget.clientWidth)} />
      )}
      <audio
        ref={audio} src={url || undefined} controls preload="metadata" aria-label={name || "sound"} onError={fail}
        onTimeUpdate={(event) => (at.value = event.currentTarget.currentTime / (event.currentTarget.duration || 1))}
      />
    </div>
  );
}

async function peaksOf(url: string, signal: AbortSignal): Promise<number[]> {
  if (url.startsWith("blob:")) return [];
  const answer = await fetch(url, { signal });
  if (!answer.ok || Number(answer.headers.get("content-length") ?? 0) > MOST) return [];
  const context = new OfflineAudioContext(1, 1, 8000);
  const sound = await context.decodeAudioData(await answer.arrayBuffer());
  const samples = sound.getChannelData(0);
  const each = Math.max(1, Math.floor(samples.length / BARS));
  const step = Math.max(1, Math.floor(each / 400));
  return Array.from({ length: Math.min(BARS, samples.length) }, (_, bar) => {
    let peak = 0;
    for (let n = bar * each; n < (bar + 1) * each; n += step) peak = Math.max(peak, Math.abs(samples[n] ?? 0));
    return peak;
  });
}

function draw(canvas: HTMLCanvasElement, peaks: number[], at: number): void {
  const paint = canvas.getContext("2d");
  if (!paint) return;
  const style = getComputedStyle(canvas);
  const { width, height } = canvas;
  paint.clearRect(0, 0, width, height);
  peaks.forEach((peak, n) => {
    paint.fillStyle = n / peaks.length <= at ? style.color : style.borderColor;
    const tall = Math.max(2, peak * height);
    paint.fillRect((n * width) / peaks.length, (height - tall) / 2, width / peaks.length - 1, tall);
  });
}
