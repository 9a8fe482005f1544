# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Identities of inputs and weights, and what is said of a difference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.app.jobs.manifest import build_manifest, differences, digest_weights, identify
from seeclear.app.models import ModelChoice


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(100_000)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(data)
    first = identify(tmp_path / "a.mp4")
    assert first == identify(tmp_path / "b.mp4") and first["bytes"] == 100_000
    for index in (0, 50_000, 99_999):
        changed = bytearray(data)
        changed[index] ^= 1
        (tmp_path / "b.mp4").write_bytes(changed)
        assert identify(tmp_path / "b.mp4") != first
    (tmp_path / "b.mp4").write_bytes(data + b"\0")
    assert identify(tmp_path / "b.mp4") != first


def test_of_a_large_file_blocks_from_beginning_to_end_are_read(tmp_path: Path) -> None:
    path, size = tmp_path / "large.mkv", 300 << 20
    with path.open("wb") as file:
        file.truncate(size)  # a sparse file: no disk is used
    seen = [identify(path)]
    for place in (0, (size - (1 << 16)) * 31 // 63 + 5, size - 1):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(b"\1")
        seen.append(identify(path))
    assert len({str(identity) for identity in seen}) == 4


def test_a_folder_is_known_by_its_images(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(tmp_path / f"{index}.png")
    first = identify(tmp_path)
    assert (first["kind"], first["files"]) == ("folder", 3)
    (tmp_path / "notes.txt").write_text("no image")
    assert identify(tmp_path) == first
    (tmp_path / "0.png").rename(tmp_path / "3.png")
    assert identify(tmp_path) != first


def test_weights_are_known_by_values_and_configuration() -> None:
    class Scheduler:
        def __init__(self, **config: Any) -> None:
            self.config = config

    def digest(value: float = 1.0, dtype: torch.dtype = torch.float32, **config: Any) -> str:
        layer = torch.nn.Linear(3, 2).to(dtype)
        torch.nn.init.constant_(layer.weight, value)
        torch.nn.init.zeros_(layer.bias)
        return digest_weights({"net": layer, "scheduler": Scheduler(**config), "prior": None})

    assert digest() == digest() == digest(_name_or_path="elsewhere")
    others = [digest(), digest(1.5), digest(dtype=torch.bfloat16), digest(sampler="ddim"), digest(sampler="markov")]
    assert len(set(others)) == len(others)


def test_memory_order_plays_no_part() -> None:
    layer = torch.nn.Conv2d(4, 4, 3)
    before = digest_weights({"net": layer})
    assert digest_weights({"net": layer.to(memory_format=torch.channels_last)}) == before


def test_differences_are_named() -> None:
    source = {"kind": "file", "bytes": 10, "sha256": "aa" * 32}
    before = build_manifest(source, {"seed": 1, "tile": (4, 8)}, "w")
    assert differences(before, before) == []
    other = {**source, "sha256": "bb" * 32}
    now = build_manifest(other, {"seed": 2, "tile": (4, 8)}, "v")
    now["versions"]["torch"] = "9"
    assert differences(before, now) == [
        "the input is another one (10 bytes, aaaaaaaa then, 10 bytes, bbbbbbbb now)",
        "`seed` was 1 and is now 2",
        f"the version of torch was {torch.__version__} and is now 9",
        "the model has other weights or another configuration",
    ]


def test_what_weights_are_called_is_said_and_decides_nothing() -> None:
    clean, named = ModelChoice("seeclear-tiny", "the input is clean"), ModelChoice("./a-folder")
    before = build_manifest({}, {}, "w", clean)
    for manifest in (build_manifest({}, {}, "w", named), build_manifest({}, {}, "w")):
        assert differences(before, manifest) == differences(manifest, before) == []
    text = "the model has other weights or another configuration"
    assert differences(before, build_manifest({}, {}, "v", named)) == [f"{text} (seeclear-tiny then, ./a-folder now)"]
    for manifest in (build_manifest({}, {}, "v", clean), build_manifest({}, {}, "v")):
        assert differences(before, manifest) == differences(manifest, before) == [text]


def test_manifests_hold_the_versions_that_pixels_depend_on() -> None:
    versions = build_manifest({}, {}, "w")["versions"]
    assert set(versions) == {"seeclear", "torch", "diffusers", "transformers", "av", "pillow"}
    assert versions["torch"].split("+")[0] == torch.__version__.split("+")[0]


@pytest.mark.parametrize("missing", [{}, {"settings": {}}])
def test_an_unknown_manifest_differs(missing: dict[str, Any]) -> None:
    assert differences(missing, build_manifest({"kind": "file"}, {"seed": 0}, "w"))
