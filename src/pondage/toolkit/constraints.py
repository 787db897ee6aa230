"""fal's limits of media, as an endpoint's schema tells them to whoever makes a form (`x-fal`). Nobody enforces them."""

from __future__ import annotations

import dataclasses
from typing import Any, TypedDict


class _Limits:
    """Refuses limits that nothing could keep."""

    def __post_init__(self) -> None:
        given: dict[str, Any] = vars(self)
        for name, most in given.items():
            least = given.get(name.replace("max_", "min_", 1)) if name.startswith("max_") else None
            if least is not None and most is not None and least > most:
                raise ValueError(f"{name.replace('max_', 'min_', 1)} ({least}) must not exceed {name} ({most}).")
        if (given.get("min_aspect_ratio") is None) != (given.get("max_aspect_ratio") is None):
            raise ValueError("min_aspect_ratio and max_aspect_ratio must be provided together.")


@dataclasses.dataclass(frozen=True)
class ImageSizeConstraints(_Limits):
    """The sizes of picture that a model makes, in pixels."""

    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    multiple_of: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None


@dataclasses.dataclass(frozen=True)
class ImageValidationConfig(_Limits):
    """The pictures that a model takes: bytes, pixels; `timeout` in seconds is no limit of the picture."""

    max_file_size: int | None = None
    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None
    timeout: float = 20.0


@dataclasses.dataclass(frozen=True)
class VideoValidationConfig(_Limits):
    """The videos that a model takes: bytes, pixels of a frame, frames, seconds, frames a second."""

    max_file_size: int | None = None
    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    min_aspect_ratio: float | None = None
    max_aspect_ratio: float | None = None
    min_frames: int | None = None
    max_frames: int | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    min_fps: float | None = None
    max_fps: float | None = None


@dataclasses.dataclass(frozen=True)
class VideoNormalizationConfig(_Limits):
    """What a model makes of a video that it takes: it is scaled, cut or resampled to this."""

    min_width: int | None = None
    min_height: int | None = None
    max_width: int | None = None
    max_height: int | None = None
    min_area: int | None = None
    max_area: int | None = None
    max_duration: float | None = None
    fps: float | None = None


class ImageValidationOptions(TypedDict, total=False):
    """`ImageValidationConfig` as keyword arguments."""

    max_file_size: int | None
    min_width: int | None
    min_height: int | None
    max_width: int | None
    max_height: int | None
    min_aspect_ratio: float | None
    max_aspect_ratio: float | None
    timeout: float | None


class VideoValidationOptions(TypedDict, total=False):
    """`VideoValidationConfig` as keyword arguments."""

    max_file_size: int | None
    min_width: int | None
    min_height: int | None
    max_width: int | None
    max_height: int | None
    min_area: int | None
    max_area: int | None
    min_aspect_ratio: float | None
    max_aspect_ratio: float | None
    min_frames: int | None
    max_frames: int | None
    min_duration: float | None
    max_duration: float | None
    min_fps: float | None
    max_fps: float | None


Constraints = ImageSizeConstraints | ImageValidationConfig | VideoValidationConfig | VideoNormalizationConfig


def to_xfal(config: Constraints) -> dict[str, Any]:
    """The limits that are set, as the schema's `x-fal` has them."""
    return {
        name: value for name, value in dataclasses.asdict(config).items() if value is not None and name != "timeout"
    }
