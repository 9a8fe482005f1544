# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Everything loads by the names of the shipped weights, from safetensors alone, and says what is missing."""

import time
from pathlib import Path

import pytest
import torch

from seeclear import (
    BlurringResShiftScheduler,
    PixelCondenser,
    SeeClearPipeline,
    SemanticDistiller,
    SemanticLens,
    load_pipeline,
)
from seeclear.runtime import choose_device, choose_dtype
from seeclear.shipped import SHIPPED_WEIGHTS, locate, shipped_models


def test_parts_of_the_shipped_models_load_by_name() -> None:
    condenser = PixelCondenser.from_pretrained("seeclear-tiny", subfolder="pixel_condenser")
    assert condenser.config.propagation_blocks == [1, 2, 3, 1]
    scheduler = BlurringResShiftScheduler.from_pretrained("seeclear-tiny", subfolder="scheduler")
    assert len(scheduler) == 15
    assert BlurringResShiftScheduler.from_pretrained("seeclear-tiny", "scheduler").config == scheduler.config
    lens = SemanticLens.from_pretrained("semantic-lens-tiny", subfolder="semantic_lens", dtype=torch.float16)
    assert lens.dtype == torch.float16
    distiller = SemanticDistiller.from_pretrained("semantic-lens-tiny", subfolder="semantic_distiller", variant="fp16")
    assert list(distiller.config.vocabulary) == ["person", "animal", "vehicle"]


@pytest.mark.parametrize("load", [SeeClearPipeline.from_pretrained, load_pipeline])
def test_variant_of_shipped_weights(load: object) -> None:
    assert load("seeclear-tiny", variant="fp16", dtype=torch.float16).pixel_condenser.dtype == torch.float16
    with pytest.raises(ValueError, match="`variant` is 'ema'"):
        load("seeclear-tiny", variant="ema")


def test_dtype_auto_is_that_of_the_command_line() -> None:
    expected, _ = choose_dtype(choose_device())
    assert SeeClearPipeline.from_pretrained("seeclear-tiny", dtype="auto").dtype == expected
    assert load_pipeline("semantic-lens-tiny", dtype="auto").dtype == expected


def test_a_folder_of_a_shipped_name_does_not_shadow_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seeclear-tiny").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate("seeclear-tiny") == str(SHIPPED_WEIGHTS / "seeclear-tiny")
    assert locate("./seeclear-tiny") == "./seeclear-tiny"
    assert load_pipeline("seeclear-tiny").scale == 4


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`use_safetensors` is False"):
        SeeClearPipeline.from_pretrained("seeclear-tiny", use_safetensors=False)
    lens = SemanticLens(channels=64, extraction_blocks=0)
    lens.save_pretrained(tmp_path, safe_serialization=False)
    assert [path.suffix for path in tmp_path.iterdir() if path.suffix != ".json"] == [".bin"]
    with pytest.raises(OSError, match="safetensors"):
        SemanticLens.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "load",
    [
        SeeClearPipeline.from_pretrained,
        load_pipeline,
        lambda name: PixelCondenser.from_pretrained(name, subfolder="pixel_condenser"),
        lambda name: BlurringResShiftScheduler.from_pretrained(name, subfolder="scheduler"),
    ],
    ids=["pipeline", "load_pipeline", "model", "scheduler"],
)
def test_a_hub_id_without_a_network_fails_at_once(load: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's client would try again for half a minute."""

    def no_network(*_: object, **__: object) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", no_network)
    start = time.perf_counter()
    with pytest.raises(ValueError, match="'someone/nothing' is not on this machine, and the Hub can't be reached"):
        load("someone/nothing")
    assert time.perf_counter() - start < 5


def test_names_that_are_nothing() -> None:
    for name in ("no-such-model", "a/b/c", "https://example.org/model"):
        with pytest.raises(
            ValueError, match=rf"{name}.*one of \['seeclear-real', 'seeclear-real-tiny', 'seeclear-star'"
        ):
            SeeClearPipeline.from_pretrained(name)
    assert set(shipped_models()) >= {"seeclear-tiny", "seeclear-star-tiny", "semantic-lens-tiny"}
