// Pictures of the camera (JPEG) or sound of the microphone (16 bit, mono) as bytes, some a second.
const PICTURES = 100;
const WIDTH = 512;

export class FrameSource {
  readonly stop: () => void;
  private constructor(stop: () => void) {
    this.stop = stop;
  }

  static async begin(kind: "camera" | "mic", give: (bytes: Uint8Array) => void): Promise<FrameSource> {
    const stream = await navigator.mediaDevices.getUserMedia(kind === "mic" ? { audio: true } : { video: true });
    const end = kind === "mic" ? sound(stream, give) : await pictures(stream, give);
    return new FrameSource(() => {
      end();
      for (const track of stream.getTracks()) track.stop();
    });
  }
}

async function pictures(stream: MediaStream, give: (bytes: Uint8Array) => void): Promise<() => void> {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = stream;
  await video.play();
  const canvas = document.createElement("canvas");
  const timer = setInterval(() => {
    if (!video.videoWidth) return;
    canvas.width = WIDTH;
    canvas.height = Math.round((WIDTH * video.videoHeight) / video.videoWidth);
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => void blob?.arrayBuffer().then((buffer) => give(new Uint8Array(buffer))), "image/jpeg", 0.7);
  }, PICTURES);
  return () => clearInterval(timer);
}

function sound(stream: MediaStream, give: (bytes: Uint8Array) => void): () => void {
  const context = new AudioContext({ sampleRate: 16_000 });
  const analyser = context.createAnalyser();
  analyser.fftSize = 2048;
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    const words = Int16Array.from(samples, (one) => Math.max(-1, Math.min(1, one)) * 32_767);
    give(new Uint8Array(words.buffer));
  }, (analyser.fftSize / 16_000) * 1000);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}
