// A picture or a film from the camera, sound from the microphone with its level.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

import { Dialog } from "../ui/basics.tsx";
import { Icon } from "../ui/icons.tsx";

interface Props {
  kind: "camera" | "mic";
  video: boolean;
  close: () => void;
  took: (file: File) => void;
}

const stamp = (): string => new Date().toISOString().replace(/[:.]/g, "-").slice(0, 19);

export function Capture({ kind, video, close, took }: Props) {
  const wrong = useSignal("");
  const stream = useSignal<MediaStream | null>(null);
  const recorder = useSignal<MediaRecorder | null>(null);
  const level = useSignal(0);
  const seen = useSignal(false);
  const view = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    let left = false;
    let opened: MediaStream | null = null;
    navigator.mediaDevices.getUserMedia(kind === "mic" ? { audio: true } : { video: true, audio: video }).then(
      (found) => {
        opened = found;
        if (left) stop(found);
        else stream.value = found;
      },
      (error: unknown) => (wrong.value = `The browser gives no ${kind === "mic" ? "microphone" : "camera"}: ${error instanceof Error ? error.message : String(error)}`),
    );
    return () => {
      left = true;
      if (opened) stop(opened);
    };
  }, []);
  useEffect(() => {
    if (view.current && stream.value) view.current.srcObject = stream.value;
    return kind === "mic" && stream.value ? meter(stream.value, (value) => (level.value = value)) : undefined;
  }, [stream.value]);

  const snap = () => {
    const film = view.current;
    if (!film) return;
    const canvas = document.createElement("canvas");
    canvas.width = film.videoWidth;
    canvas.height = film.videoHeight;
    canvas.getContext("2d")?.drawImage(film, 0, 0);
    canvas.toBlob((blob) => blob && took(new File([blob], `camera-${stamp()}.png`, { type: "image/png" })), "image/png");
  };
  const record = () => {
    if (!stream.value) return;
    const parts: Blob[] = [];
    const made = new MediaRecorder(stream.value);
    made.ondataavailable = (event) => parts.push(event.data);
    made.onstop = () => {
      const type = made.mimeType.split(";")[0] || (kind === "mic" ? "audio/webm" : "video/webm");
      took(new File(parts, `${kind}-${stamp()}.${type.split("/")[1] ?? "webm"}`, { type }));
    };
    made.start();
    recorder.value = made;
  };
  const recording = recorder.value !== null;
  return (
    <Dialog title={kind === "mic" ? "Microphone" : "Camera"} close={close}>
      {wrong.value && <p class="error"><Icon name="warn" /> {wrong.value}</p>}
      {kind === "camera" && !wrong.value && <video ref={view} class="picture" autoPlay muted playsInline onLoadedData={() => (seen.value = true)} aria-label="What the camera sees" />}
      {kind === "mic" && !wrong.value && <meter class="level" min={0} max={1} value={level.value} aria-label="Level">level</meter>}
      <div class="row">
        {kind === "camera" && !video && <button type="button" class="strong" disabled={!seen.value} onClick={snap}>Take the picture</button>}
        {(kind === "mic" || video) && (recording
          ? <button type="button" class="strong" onClick={() => recorder.value?.stop()}>Stop and use</button>
          : <button type="button" class="strong" disabled={!stream.value} onClick={record}>Record</button>)}
      </div>
    </Dialog>
  );
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

function meter(stream: MediaStream, tell: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    tell(Math.min(1, Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length) * 4));
  }, 100);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
