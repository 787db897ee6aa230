// The microphone, in pieces of 64 ms, to the realtime endpoint; what comes back, onto the page. No library.
// Text frames carry JSON, and the answers come as JSON; pondage takes msgpack as well.

const RATE = 16000;
const PIECE = 1024;
const asked = new URLSearchParams(location.search);
const server = (asked.get("server") || "http://127.0.0.1:8000").replace(/^http/, "ws");
const state = document.getElementById("state");
const strip = document.getElementById("strip").getContext("2d");

const GATHER = `
  registerProcessor("gather", class extends AudioWorkletProcessor {
    constructor() { super(); this.piece = new Int16Array(${PIECE}); this.filled = 0; }
    process([[samples]]) {
      for (const sample of samples || []) {
        this.piece[this.filled++] = Math.max(-1, Math.min(1, sample)) * 32767;
        if (this.filled === this.piece.length) { this.port.postMessage(this.piece); this.filled = 0; }
      }
      return true;
    }
  });`;

function connect() {
  const token = asked.get("token");
  // A page cannot set headers on a WebSocket: a token travels as a subprotocol.
  const socket = new WebSocket(`${server}/local/voice-activity/realtime`, token ? ["pondage", `pondage.token.${token}`] : []);
  socket.onmessage = ({ data }) => show(JSON.parse(data));
  socket.onclose = ({ code, reason }) => say(`the session ended (${code}${reason ? ", " + reason : ""})`);
  return new Promise((resolve, reject) => { socket.onopen = () => resolve(socket); socket.onerror = reject; });
}

async function listen() {
  const socket = await connect();
  const sound = new AudioContext({ sampleRate: RATE });
  const microphone = await navigator.mediaDevices.getUserMedia({ audio: true });
  await sound.audioWorklet.addModule(URL.createObjectURL(new Blob([GATHER], { type: "text/javascript" })));
  const gather = new AudioWorkletNode(sound, "gather", { numberOfOutputs: 0 });
  gather.port.onmessage = ({ data }) => {
    // What does not go out at once is stale by the time it would.
    if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 64 * 1024) return;
    socket.send(JSON.stringify({ pcm: btoa(String.fromCharCode(...new Uint8Array(data.buffer))) }));
  };
  sound.createMediaStreamSource(microphone).connect(gather);
  say("silence");
}

function show(message) {
  if (message.type === "x-fal-message") return say(`waiting, ${message.position} ahead`);
  if (message.type === "x-fal-error") return say(`${message.error}: ${message.reason}`);
  say(message.speaking ? "speech" : "silence", message.speaking);
  const { width, height } = strip.canvas;
  strip.drawImage(strip.canvas, -4, 0);
  strip.clearRect(width - 4, 0, 4, height);
  strip.fillStyle = message.speaking ? "#b3261e" : "#888";
  strip.fillRect(width - 4, height * (1 - message.probability), 3, height);
  for (const { start, end } of message.ended) {
    const item = document.createElement("li");
    item.textContent = `${start.toFixed(2)} s to ${end.toFixed(2)} s`;
    document.getElementById("stretches").append(item);
  }
}

function say(text, speech = false) {
  state.textContent = text;
  state.className = speech ? "speech" : "";
}

document.getElementById("start").onclick = (event) => {
  event.target.disabled = true;
  listen().catch((error) => say(`cannot listen: ${error.message || error.type}`));
};
