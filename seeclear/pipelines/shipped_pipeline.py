# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How pipelines are saved, so that diffusers finds them, and loaded."""

import os
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from seeclear.loading import FromShipped

PIPELINE_FILE = """\
# diffusers runs every file of this name in one module, and wants one pipeline in it
for name in [name for name in globals() if name.endswith("Pipeline")]:
    del globals()[name]
from seeclear import {name}  # noqa: E402, F401
"""


class ShippedPipeline(FromShipped, DiffusionPipeline):
    """A pipeline that knows the shipped weights, and that diffusers can load from the folder it was saved to."""

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """As `DiffusionPipeline.save_pretrained`; also writes `pipeline.py`, for those who have not imported this
        package: `DiffusionPipeline.from_pretrained(folder, custom_pipeline="pipeline", trust_remote_code=True)`.
        """
        super().save_pretrained(save_directory, **kwargs)
        text = PIPELINE_FILE.format(name=type(self).__name__)
        (Path(save_directory) / "pipeline.py").write_text(text, encoding="utf-8")
