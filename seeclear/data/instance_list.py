# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The JSON list of what the Semantic Distiller learns from."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .found_instances import PHOTO_SIZE, read_masked_photos, read_static_video
from .instances import AnnotatedClip, read_annotated_clip
from .sources import image_files

TRAINED_SHARE = 0.75
"""Of a video of a static camera, what is trained on: its beginning; the rest is left to measure on."""


def read_instance_list(list_file: str | Path, data_dir: str | Path) -> tuple[list[AnnotatedClip], list[Tensor]]:
    """The clips with instances, and the backgrounds, that a JSON file lists.

    The file is `{"frames": folder, "masks": folder, "clips": {name: label, ...}}` with paths relative to `data_dir`,
    and beside these, each if wanted: `"backgrounds": [folder, ...]`, photographs to paste objects on, reduced to 240
    rows or columns, whichever is shorter; `"photographs": [[folder, folder of masks], ...]`, see
    [`read_masked_photos`]; `"static_cameras": {video: label, ...}`, see [`read_static_video`], of which the first
    three quarters are used.

    Raises:
        ValueError: the file is missing or malformed, or what it lists is.
    """
    path = Path(list_file)
    if not path.is_file():
        raise ValueError(f"`list_file` must be a file, but {str(list_file)!r} is not.")
    try:
        spec = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"`list_file` {str(list_file)!r} is not JSON: {error}") from error
    if not isinstance(spec, dict) or not {"frames", "masks", "clips"} <= set(spec) or not spec["clips"]:
        raise ValueError(f"`list_file` {str(list_file)!r} must have 'frames', 'masks' and 'clips', and name a clip.")
    root = Path(data_dir)
    clips = [
        read_annotated_clip(root / spec["frames"] / name, root / spec["masks"] / name, label)
        for name, label in spec["clips"].items()
    ]
    for images, masks in spec.get("photographs", []):
        clips += read_masked_photos(root / images, root / masks)
    for video, label in spec.get("static_cameras", {}).items():
        clips += read_static_video(root / video, label, until=TRAINED_SHARE)
    files = [file for folder in spec.get("backgrounds", []) for file in image_files(root / folder)]
    return clips, [_read_background(file) for file in files]


def _read_background(file: Path) -> Tensor:
    with Image.open(file) as opened:
        opened.draft("RGB", (640, 640))
        image = opened.convert("RGB")
        scale = PHOTO_SIZE / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)
