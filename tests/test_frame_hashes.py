# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The shipped models give the frames that they gave when `docs/figures/frame_hashes.json` was written."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

KNOWN = Path(__file__).parent.parent / "docs" / "figures" / "frame_hashes.json"


@pytest.mark.parametrize(
    "name",
    [
        "seeclear-tiny steps",
        "seeclear-star-tiny steps",
        "seeclear-star whole",
        "seeclear-real-tiny whole",
        "seeclear-real tiles",
        "semantic-lens-tiny tiles",
    ],
    ids=lambda name: name,
)
def test_frames_are_those_of_before(name: str, load_script: Callable[[str], ModuleType]) -> None:
    """Bits depend on the processor; means of fields of the frames do so by a few millionths, and by a little more
    where the optical flow, which is found in 8 bits, falls to the other side of a rounding.
    """
    script = load_script("benchmarks/frame_hashes.py")
    model, way = name.split()
    known = json.loads(KNOWN.read_text(encoding="utf-8"))["frames"][name]
    found = script.describe(script.restore(model, **script.WAYS[way]))
    assert np.abs(np.subtract(found["fields"], known["fields"])).max() < 2e-4


def test_other_frames_are_noticed(load_script: Callable[[str], ModuleType]) -> None:
    script = load_script("benchmarks/frame_hashes.py")
    frames = np.random.default_rng(0).random((2, 3, 16, 16), dtype=np.float32)
    changed = frames.copy()
    changed[1, :, :4, :4] += 0.001
    one, other = script.describe(frames), script.describe(changed)
    assert one["sha256"] != other["sha256"]
    assert np.abs(np.subtract(one["fields"], other["fields"])).max() > 2e-4
