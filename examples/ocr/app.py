"""Reads the text in a picture, with a real model whose weights come inside its wheel (rapidocr, Apache-2.0)."""

from __future__ import annotations

import time

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw
from pydantic import BaseModel, Field

import pondage
from pondage.toolkit import Image

WORKING_HEIGHT = 600
"""Small photographs are enlarged to this height: strokes of one pixel are not read well."""


class Page(BaseModel):
    image: Image = Field(description="A picture of a printed page: a URL, a data URI or an upload.")
    min_confidence: float = Field(0.5, ge=0, le=1, description="Lines that the model is less sure of are left out.")


class Line(BaseModel):
    text: str
    confidence: float
    box: list[tuple[int, int]] = Field(description="Four corners in pixels of the picture, clockwise from top left.")


class Reading(BaseModel):
    text: str
    lines: list[Line]
    annotated: Image


class OCR(pondage.App, name="ocr"):
    def setup(self) -> None:
        began = time.monotonic()
        from rapidocr import RapidOCR

        print("loading the models")
        self.engine = RapidOCR(params={"Global.log_level": "error"})
        # The engine loads each model when it is first used; that must not fall to the first caller.
        self.engine(np.full((64, 256, 3), 255, np.uint8))
        self.read_line(np.full((48, 192, 3), 255, np.uint8))
        print(f"ready in {time.monotonic() - began:.1f} s")

    @pondage.endpoint("/")
    def read(self, page: Page) -> Reading:
        """The text of a page, line by line, and the picture with the lines marked."""
        request = pondage.current_request
        picture = page.image.to_pil().convert("RGB")
        print(f"picture of {picture.width}x{picture.height} pixels")
        scale = max(1, round(WORKING_HEIGHT / picture.height))
        large = picture.resize((picture.width * scale, picture.height * scale), Pillow.Resampling.LANCZOS)

        boxes = self.find_lines(np.asarray(large))
        print(f"found {len(boxes)} lines of text")
        steps = len(boxes) + 2
        request.progress(1, steps, "found the lines")
        lines = []
        for number, box in enumerate(boxes, 1):
            left, top = box.min(axis=0)
            right, bottom = box.max(axis=0)
            text, confidence = self.read_line(np.asarray(large.crop((left, top, right, bottom))))
            request.progress(1 + number, steps, f"line {number} of {len(boxes)}")
            print(f"{confidence:4.0%}  {text}")
            if text and confidence >= page.min_confidence:
                corners = [(int(x) // scale, int(y) // scale) for x, y in box]
                lines.append(Line(text=text, confidence=confidence, box=corners))

        marked = Image.from_pil(annotate(picture, lines))
        request.progress(steps, steps, "done")
        return Reading(text="\n".join(line.text for line in lines), lines=lines, annotated=marked)

    def find_lines(self, pixels: np.ndarray) -> list[np.ndarray]:
        """The corners of each line of text, from top to bottom."""
        found = self.engine(pixels, use_det=True, use_cls=False, use_rec=False)
        return [] if found.boxes is None else [np.rint(box).astype(int) for box in found.boxes]

    def read_line(self, pixels: np.ndarray) -> tuple[str, float]:
        """The text of one line, and how sure the model is, 0 to 1."""
        read = self.engine(pixels, use_det=False, use_cls=True, use_rec=True)
        if not read.txts:
            return "", 0.0
        return read.txts[0].strip(), round(float(read.scores[0]), 3)


def annotate(picture: Pillow.Image, lines: list[Line]) -> Pillow.Image:
    """The picture with a frame around each line."""
    marked = picture.copy()
    draw = ImageDraw.Draw(marked)
    for line in lines:
        draw.polygon(line.box, outline=(214, 40, 40), width=1)
    return marked
