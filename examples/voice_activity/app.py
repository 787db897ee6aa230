"""Says when somebody speaks, live: silero-vad's network (MIT) on onnxruntime, its weights out of its own wheel."""

from __future__ import annotations

import base64
import io
import wave
from collections.abc import AsyncIterator
from importlib.metadata import files
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, Field

import pondage
from pondage.toolkit import Audio

RATE = 16_000
WINDOW = 512
"""Samples that the network judges at once, 32 ms; it also sees the last CONTEXT samples before them."""
CONTEXT = 64
STARTS_ABOVE, ENDS_BELOW = 0.5, 0.35
"""Probabilities; between them nothing changes."""
PAUSE = 0.3
"""Seconds of silence that end a stretch of speech."""


def _from_json(value: Any) -> Any:
    return base64.b64decode(value) if isinstance(value, str) else value


class Piece(BaseModel):
    pcm: Annotated[bytes, BeforeValidator(_from_json)] = Field(
        description="Sound of any length: 16-bit little-endian samples, one channel, 16 kHz; base64 in JSON."
    )


class Stretch(BaseModel):
    start: float = Field(description="Seconds from the beginning of the sound.")
    end: float


class Activity(BaseModel):
    at: float = Field(description="Seconds of sound that were heard so far.")
    probability: float = Field(description="That somebody speaks: the highest in this piece.")
    speaking: bool
    ended: list[Stretch] = Field(description="Stretches of speech that ended in this piece.")


class Recording(BaseModel):
    audio: Audio = Field(description="A WAV file: a URL, a data URI or an upload.")


class Speech(BaseModel):
    seconds: float
    stretches: list[Stretch]


class Listener:
    """What is known of one sound: the network's memory, and whether somebody speaks just now."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._memory = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(CONTEXT, np.float32)
        self._rest = np.zeros(0, np.float32)
        self._heard = 0
        self._began: float | None = None
        self._silent_since: float | None = None

    def hear(self, samples: np.ndarray) -> Activity:
        """Judge the next samples, -1 to 1, together with what was left of those before."""
        sound = np.concatenate([self._rest, samples])
        whole = len(sound) // WINDOW * WINDOW
        self._rest = sound[whole:]
        highest, ended = 0.0, []
        for window in sound[:whole].reshape(-1, WINDOW):
            probability = self._judge(window)
            highest = max(highest, probability)
            if (stretch := self._follow(probability)) is not None:
                ended.append(stretch)
        at = (self._heard + len(self._rest)) / RATE
        return Activity(at=at, probability=round(highest, 3), speaking=self._began is not None, ended=ended)

    def finish(self) -> list[Stretch]:
        """The stretch that lasts until the end of the sound, if there is one."""
        if self._began is None:
            return []
        return [Stretch(start=round(self._began, 2), end=round(self._heard / RATE, 2))]

    def _judge(self, window: np.ndarray) -> float:
        sound = np.concatenate([self._context, window])
        inputs = {"input": sound[None], "state": self._memory, "sr": np.array(RATE, np.int64)}
        probability, self._memory = self._network.run(None, inputs)
        self._context = sound[-CONTEXT:]
        self._heard += WINDOW
        return float(probability[0, 0])

    def _follow(self, probability: float) -> Stretch | None:
        now = self._heard / RATE
        if probability >= STARTS_ABOVE:
            self._silent_since = None
            if self._began is None:
                self._began = now - WINDOW / RATE
        elif self._began is not None and probability < ENDS_BELOW:
            self._silent_since = now - WINDOW / RATE if self._silent_since is None else self._silent_since
            if now - self._silent_since >= PAUSE:
                stretch = Stretch(start=round(self._began, 2), end=round(self._silent_since, 2))
                self._began = self._silent_since = None
                return stretch
        return None


class VoiceActivity(pondage.App, name="voice-activity", max_multiplexing=32):
    def setup(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.network = onnxruntime.InferenceSession(weights(), options, providers=["CPUExecutionProvider"])
        Listener(self.network).hear(np.zeros(WINDOW, np.float32))

    @pondage.realtime("/realtime", session_timeout=30)
    async def listen(self, pieces: AsyncIterator[Piece]) -> AsyncIterator[Activity]:
        """An answer to each piece of a live sound. Each connection has a listener of its own."""
        listener = Listener(self.network)
        async for piece in pieces:
            yield listener.hear(samples_of(piece.pcm))

    @pondage.endpoint("/")
    def find(self, recording: Recording) -> Speech:
        """All the stretches of speech in a recording."""
        sound = read_wav(recording.audio.as_bytes())
        listener = Listener(self.network)
        stretches = listener.hear(sound).ended + listener.finish()
        return Speech(seconds=round(len(sound) / RATE, 2), stretches=stretches)


def weights() -> str:
    """The network's file. It is looked up, not imported: the package itself would want PyTorch."""
    for file in files("silero-vad") or []:
        if file.name == "silero_vad.onnx":
            return str(file.locate())
    raise FileNotFoundError("silero-vad is installed without its weights; see requirements.txt")


def samples_of(pcm: bytes) -> np.ndarray:
    """16-bit samples as numbers from -1 to 1."""
    if len(pcm) % 2:
        raise pondage.FieldException("pcm", "has an odd number of bytes; samples have two each")
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768


def read_wav(data: bytes) -> np.ndarray:
    """One channel at 16 kHz out of any 16-bit WAV file."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise pondage.FieldException("audio", f"is no WAV file: {error}") from error
    if width != 2:
        raise pondage.FieldException("audio", f"has {8 * width}-bit samples; 16 bits are read")
    sound = samples_of(frames).reshape(-1, channels).mean(axis=1)
    if rate == RATE:
        return sound
    at = np.arange(0, len(sound), rate / RATE)
    return np.interp(at, np.arange(len(sound)), sound).astype(np.float32)
