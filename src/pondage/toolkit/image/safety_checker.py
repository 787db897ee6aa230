"""fal's `postprocess_images`. fal's models that judge pictures are not part of Pondage."""

from __future__ import annotations

from typing import Any


def postprocess_images(
    pil_images: list[Any], enable_safety_checker: bool = True, safety_checker_version: int = 2
) -> dict[str, Any]:
    """The pictures, and for each whether it is unfit; unjudged where `enable_safety_checker` is false.

    Raises:
        RuntimeError: they are to be judged. Nothing here passes for safe what nobody has looked at.
    """
    if enable_safety_checker:
        raise RuntimeError(
            "no safety checker comes with Pondage: judge the pictures with a model of your own, "
            "and call postprocess_images(…, enable_safety_checker=False)"
        )
    return {"images": pil_images, "has_nsfw_concepts": [False] * len(pil_images)}
