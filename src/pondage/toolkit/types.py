"""fal's types of inputs that are files by their URL. `pondage.File` and its kin also fetch them."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

HttpsUrl = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^https?://\S+$", max_length=2048)]
"""An address. Plain http as well, unlike fal's: this server's own files are there while it has no certificate."""

DataUri = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^data:")]
"""Its length is bounded as all input is: `max_input_bytes`, and `fetch_max_bytes` where it is read."""

ImageHttpsUrl = HttpsUrl
ImageDataUri = DataUri
FileInput = HttpsUrl | DataUri
ImageInput = ImageHttpsUrl | ImageDataUri
