# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How pipelines are loaded and saved: by the names of the shipped weights too, and so that diffusers finds them."""

import os
from pathlib import Path
from typing import Any, TypeVar

from diffusers import DiffusionPipeline

from seeclear.shipped import locate

PIPELINE_FILE = """\
# diffusers runs every file of this name in one module, and wants one pipeline in it
for name in [name for name in globals() if name.endswith("Pipeline")]:
    del globals()[name]
from seeclear import {name}  # noqa: E402, F401
"""

Pipeline = TypeVar("Pipeline", bound="ShippedPipeline")


class ShippedPipeline(DiffusionPipeline):
    """A pipeline that knows the shipped weights, and that diffusers can load from the folder it was saved to."""

    @classmethod
    def from_pretrained(
        cls: type[Pipeline], pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Pipeline:
        """As `DiffusionPipeline.from_pretrained`; besides folders and Hub ids it knows the names of the shipped
        weights.

        Raises:
            ValueError: there is no such folder, and the name is neither a shipped model nor of the form of a Hub id.
        """
        return super().from_pretrained(locate(pretrained_model_name_or_path), **kwargs)

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """As `DiffusionPipeline.save_pretrained`; also writes `pipeline.py`, through which diffusers finds the class.

        `DiffusionPipeline.from_pretrained(folder, custom_pipeline="pipeline", trust_remote_code=True)` needs it.
        """
        super().save_pretrained(save_directory, **kwargs)
        text = PIPELINE_FILE.format(name=type(self).__name__)
        (Path(save_directory) / "pipeline.py").write_text(text, encoding="utf-8")
