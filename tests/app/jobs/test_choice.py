# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Which model a video gets where none is named, what is said and written down of it, and that this stays so."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.app.jobs import Handling, Job, JobInterrupted, LoadedModel, UpscaleSettings, job, loaded, plan
from seeclear.app.jobs.folder import job_folder
from seeclear.app.jobs.records import record_path
from seeclear.app.models import ModelChoice, choose_model
from seeclear.app.progress import Bars
from seeclear.app.upscale import upscale_folder, upscale_video
from seeclear.pipelines.memory import ClipsAndTile
from seeclear.shipped import DEFAULT_MODEL, REAL_MODEL
from seeclear.video import quality
from seeclear.video.excerpt import Excerpt

Command = Callable[..., tuple[int, str, str]]
CLEAN, COMPRESSED = "the input is clean: H.264 at ", "the input is compressed: H.264 at "


class Pipes(dict[str, Any]):
    """The stand-ins by the names of the two models, of other frames and other weights, and the names as loaded."""

    loads: list[str]


@pytest.fixture
def pipes(stand_in: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Pipes:
    found = Pipes({DEFAULT_MODEL: stand_in.Nearest(carry=0.3), REAL_MODEL: stand_in.Nearest(carry=0.6)})
    found.loads = []

    def load(model: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Path]:
        found.loads.append(model)
        return found[model], Path()

    monkeypatch.setattr(loaded, "load_model", load)
    monkeypatch.setattr(plan, "choose_clips_and_tile", lambda *asked: ClipsAndTile(None, asked[-1], None))
    monkeypatch.setattr(plan, "estimate_peak_bytes", lambda *_, **__: 1_500_000_000)
    return found


@pytest.fixture
def coarse(stand_in: ModuleType, tmp_path: Path) -> Path:
    """A video that is compressed so that it shows."""
    return stand_in.write_video(tmp_path / "coarse.mp4", crf=34)


def nobody_looks(*_: Any) -> ModelChoice:
    raise AssertionError("the video was looked at again")


def record_of(output: Path) -> dict[str, Any]:
    return json.loads(record_path(output).read_text(encoding="utf-8"))


def stop_in_clip(pipe: Any, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the clip of that number, from 0 on."""
    begun: list[int] = []
    begin = type(pipe.restorer).begin_clip

    def begin_clip(self: Any, clip: Any) -> Any:
        if len(begun) == number:
            raise KeyboardInterrupt
        begun.append(clip.start)
        return begin(self, clip)

    monkeypatch.setattr(type(pipe.restorer), "begin_clip", begin_clip)


# The choice


def test_choices(video: Path, coarse: Path, tmp_path: Path) -> None:
    for path, name, reason in ((video, DEFAULT_MODEL, CLEAN), (coarse, REAL_MODEL, COMPRESSED)):
        choice = choose_model(path)
        assert choice.name == name and str(choice.reason).startswith(reason)
        assert choose_model(str(path), Excerpt(frames=3)).name == name
    y, x = np.mgrid[:64, :96]
    soft = (120 + 60 * np.sin(x / 23) * np.cos(y / 17))[..., None].repeat(3, axis=-1)
    noise = 12 * np.random.default_rng(0).standard_normal(soft.shape)
    for kind, picture, name in (("soft", soft, DEFAULT_MODEL), ("noisy", soft + noise, REAL_MODEL)):
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        (tmp_path / kind).mkdir()
        for index in range(2):
            image.save(tmp_path / kind / f"{index}.png")
        image.save(tmp_path / f"{kind}.jpg", quality=60)
        for path in (tmp_path / kind, tmp_path / kind / "0.png"):
            assert choose_model(path).name == name
        assert choose_model(tmp_path / f"{kind}.jpg").name == REAL_MODEL
    assert str(choose_model(tmp_path / "noisy").reason).startswith("the input is noisy: PNG at ")


def test_the_part_that_is_restored_is_looked_at(video: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []

    def look(path: Path, excerpt: Excerpt) -> ModelChoice:
        seen.append((path, excerpt))
        raise ValueError("enough")

    monkeypatch.setattr(job, "choose_model", look)
    for part in ({}, {"start": "0.1", "frames": 2}, {"duration": 0.1}):
        with pytest.raises(ValueError, match="enough"):
            upscale_video(video, tmp_path / "out.mp4", **part)
    expected = [Excerpt(), Excerpt.parse("0.1", frames=2), Excerpt.parse(duration=0.1)]
    assert seen == [(video, excerpt) for excerpt in expected]


def test_what_cannot_be_judged_is_restored_all_the_same(
    pipes: Pipes, coarse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command
) -> None:
    """Whatever keeps the judge from reading a video that the reader reads."""

    def refuse(*_: Any) -> Any:
        raise ValueError(f"{coarse}: not one frame\ncan be decoded.")

    monkeypatch.setattr(quality, "assess_quality", refuse)
    code, out, err = run("upscale", coarse, tmp_path / "out.mp4")
    assert code == 0 and "6 frames of 128x96" in out and pipes.loads == [DEFAULT_MODEL]
    assert err == (
        f"seeclear: note: {coarse}: the model is {DEFAULT_MODEL}, as the input cannot be judged: {coarse}: not one "
        "frame can be decoded. --model names another.\n"
    )


def test_what_cannot_be_read_is_named_by_the_reader(pipes: Pipes, tmp_path: Path, fails: Callable[..., str]) -> None:
    (tmp_path / "in.mp4").write_bytes(b"no video")
    assert "in.mp4: cut off or not a video" in fails("upscale", tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert choose_model(tmp_path / "in.mp4").name == DEFAULT_MODEL and pipes.loads == []


# What is said


def test_each_video_of_a_folder_gets_its_model(
    pipes: Pipes, stand_in: ModuleType, tmp_path: Path, run: Command
) -> None:
    """A line for each of them, unless it is to be quiet; a model is loaded once; bytes are those of a named model."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, crf in (("a.mp4", 8), ("b.mp4", 34), ("c.mkv", 8), ("d.mkv", 34)):
        stand_in.write_video(folder / name, crf=crf)
    code, out, err = run("upscale", folder, tmp_path / "out")
    assert code == 0 and out.endswith("4 done, 0 skipped, 0 failed\n")
    assert pipes.loads == [DEFAULT_MODEL, REAL_MODEL]
    lines = err.splitlines()
    rest = r"at [0-9.]+ bits a pixel, {}ly coded \(step [0-9.]+\){}\. --model names another\."
    clean, compressed = rest.format("fine", ", no visible blocks or noise"), rest.format("coarse", "")
    for line, name in zip(lines, ("a.mp4", "b.mp4", "c.mkv", "d.mkv"), strict=True):
        is_clean = name in ("a.mp4", "c.mkv")
        model, verdict = (DEFAULT_MODEL, "clean") if is_clean else (REAL_MODEL, "compressed")
        start = f"seeclear: note: {folder / name}: the model is {model}, as the input is {verdict}: H.264 "
        assert line.startswith(start) and re.fullmatch(clean if is_clean else compressed, line[len(start) :]), line
    assert run("upscale", folder, tmp_path / "again", "--quiet") == (0, "", "")
    for model, names in ((DEFAULT_MODEL, ("a.mp4", "c.mkv")), (REAL_MODEL, ("b.mp4", "d.mkv"))):
        for name in names:
            (tmp_path / model).mkdir(exist_ok=True)
            upscale_video(folder / name, tmp_path / model / name, model=model)
            made = (tmp_path / model / name).read_bytes()
            assert made == (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_a_model_that_is_named_is_taken_without_a_look(
    pipes: Pipes, coarse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Command
) -> None:
    monkeypatch.setattr(job, "choose_model", nobody_looks)
    code, _, err = run("upscale", coarse, tmp_path / "out.mp4", "--model", DEFAULT_MODEL)
    assert (code, err) == (0, "") and pipes.loads == [DEFAULT_MODEL]
    assert record_of(tmp_path / "out.mp4")["manifest"]["model"] == {"name": DEFAULT_MODEL, "reason": None}


def test_a_dry_run_is_of_the_model_that_is_taken(
    pipes: Pipes, video: Path, coarse: Path, tmp_path: Path, run: Command
) -> None:
    for source, model, other in ((coarse, REAL_MODEL, DEFAULT_MODEL), (video, DEFAULT_MODEL, REAL_MODEL)):
        for pipe in pipes.values():
            pipe.calls.clear()
        code, out, err = run("upscale", source, tmp_path / f"{model}.mp4", "--dry-run")
        assert (code, err) == (0, "") and pipes[model].calls and not pipes[other].calls
        (note,) = [line.split(maxsplit=1)[1] for line in out.splitlines() if line.split()[0] == "note"]
        assert f"the model is {model}, as the input is " in note
        assert run("upscale", source, tmp_path / f"{model}.mp4")[2] == f"seeclear: note: {note}\n"


def test_errors_that_come_of_the_choice_name_it(
    pipes: Pipes, video: Path, coarse: Path, tmp_path: Path, fails: Callable[..., str]
) -> None:
    said = fails("upscale", coarse, tmp_path / "out.mp4", "--steps", 99)
    assert f"--steps must be from 1 to 15, but was 99. {coarse}: the model is {REAL_MODEL}, as {COMPRESSED}" in said
    said = fails("upscale", coarse, tmp_path / "out.mp4", "--steps", 99, "--model", REAL_MODEL)
    assert said.endswith("--steps must be from 1 to 15, but was 99.\n")


def test_detail_where_a_model_without_a_prior_was_chosen(video: Path, tmp_path: Path, fails: Any) -> None:
    """The shipped weights: nothing is restored."""
    said = fails("upscale", video, tmp_path / "out.mp4", "--detail", 0.5, "--device", "cpu")
    assert said.startswith("seeclear: error: --detail is 0.5; it must be 1, because this model has no prior whose ")
    assert "Models with a prior take other values, such as seeclear-star-tiny and seeclear-real-tiny. " in said
    assert f"{video}: the model is seeclear-tiny, as {CLEAN}" in said and said.endswith("--model names another.\n")
    said = fails("upscale", video, tmp_path / "out.mp4", "--detail", 1.5)
    assert said == "seeclear: error: --detail is 1.5; it must be a number from 0 to 1\n"


# What is written down


def test_chosen_and_named_are_the_same_output(
    pipes: Pipes, video: Path, coarse: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for source, model, other in ((coarse, REAL_MODEL, DEFAULT_MODEL), (video, DEFAULT_MODEL, REAL_MODEL)):
        chosen, named = tmp_path / f"{model}.mp4", tmp_path / f"{model}.named.mp4"
        assert upscale_video(source, chosen).status == upscale_video(source, named, model=model).status == "done"
        assert chosen.read_bytes() == named.read_bytes()
        found = record_of(chosen)["manifest"]
        assert found["model"]["name"] == model and "bits a pixel" in found["model"]["reason"]
        assert found["weights"] == record_of(named)["manifest"]["weights"]
        assert upscale_video(source, chosen, model=model).status == "skipped"
        assert upscale_video(source, named).status == "skipped"
        with pytest.raises(ValueError, match=rf"another configuration \({model} then, {other} now\)\. Give `over"):
            upscale_video(source, chosen, model=other)


def test_records_without_newer_settings_are_still_those_of_the_defaults(
    pipes: Pipes, coarse: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    upscale_video(coarse, out)
    record = record_of(out)
    assert record["manifest"]["settings"].pop("detail") is None and record["manifest"].pop("model")
    record_path(out).write_text(json.dumps(record), encoding="utf-8")
    assert upscale_video(coarse, out).status == upscale_video(coarse, out, detail=1).status == "skipped"
    with pytest.raises(ValueError, match="`detail` was not given and is now 0.5"):
        upscale_video(coarse, out, detail=0.5)
    assert upscale_video(coarse, out, detail=0.5, overwrite=True).status == "done"
    assert record_of(out)["manifest"]["settings"]["detail"] == 0.5 == pipes[REAL_MODEL].calls[-1]["detail"]
    with pytest.raises(ValueError, match="`detail` was 0.5 and is now not given"):
        upscale_video(coarse, out)


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("crf", [8, 34])
def test_a_resumed_run_does_not_change_its_mind(
    pipes: Pipes, stand_in: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crf: int
) -> None:
    """Not even where another look would find something else; only `restart` looks again."""
    source = stand_in.write_video(tmp_path / "in.mp4", stand_in.scenes(13, 4, 9), crf=crf)
    model, other = (DEFAULT_MODEL, REAL_MODEL) if crf == 8 else (REAL_MODEL, DEFAULT_MODEL)
    upscale_video(source, tmp_path / "whole.mp4")
    out = tmp_path / "out.mp4"
    with monkeypatch.context() as patch, pytest.raises(JobInterrupted):
        stop_in_clip(pipes[model], 3, patch)
        upscale_video(source, out)
    manifest = json.loads((job_folder(out) / "manifest.json").read_text())
    assert manifest["model"]["name"] == model
    with pytest.raises(ValueError, match=rf"cannot go on, because the model .* \({model} then, {other} now\)"):
        upscale_video(source, out, model=other)
    with monkeypatch.context() as patch:
        patch.setattr(job, "choose_model", lambda *_: ModelChoice(other, "it looks otherwise now"))
        with pytest.raises(JobInterrupted), patch.context() as inner:
            stop_in_clip(pipes[model], 1, inner)
            upscale_video(source, out)
        result = upscale_video(source, out)
        assert 0 < result.restored_frames < 26 and out.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
        with pytest.raises(JobInterrupted), patch.context() as inner:
            stop_in_clip(pipes[other], 3, inner)
            upscale_video(source, out, overwrite=True, restart=True)
        assert json.loads((job_folder(out) / "manifest.json").read_text())["model"]["name"] == other


@pytest.mark.usefixtures("short_parts")
def test_an_interrupted_run_goes_on_with_the_same_model_by_name(
    pipes: Pipes, stand_in: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that was begun with a name goes on where the look of the video says the same."""
    source = stand_in.write_video(tmp_path / "in.mp4", stand_in.scenes(13, 4), crf=34)
    for first, then in (({}, {"model": REAL_MODEL}), ({"model": REAL_MODEL}, {})):
        out = tmp_path / f"{len(first)}.mp4"
        with monkeypatch.context() as patch, pytest.raises(JobInterrupted):
            stop_in_clip(pipes[REAL_MODEL], 2, patch)
            upscale_video(source, out, **first)
        assert upscale_video(source, out, **then).restored_frames < 17
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "1.mp4").read_bytes()
    out = tmp_path / "default.mp4"
    with monkeypatch.context() as patch, pytest.raises(JobInterrupted):
        stop_in_clip(pipes[DEFAULT_MODEL], 2, patch)
        upscale_video(source, out, model=DEFAULT_MODEL)
    with pytest.raises(ValueError, match=rf"cannot go on, .* \({DEFAULT_MODEL} then, {REAL_MODEL} now\)"):
        upscale_video(source, out)


@pytest.mark.usefixtures("short_parts")
@pytest.mark.parametrize("restart", [False, True])
def test_processes_decide_alike(
    pipes: Pipes, stand_in: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    """A helper takes what the leading process has chosen, even if a look on its machine would say something else."""
    source = stand_in.write_video(tmp_path / "in.mp4", stand_in.scenes(8, 4, 6), crf=34)
    upscale_video(source, tmp_path / "whole.mp4")

    def load(model: str) -> LoadedModel:
        return LoadedModel.load(model, torch.device("cpu"), torch.float32)

    def make_job(leads: bool) -> Job:
        settings = replace(UpscaleSettings(), dtype="fp32")
        return Job(source, tmp_path / "out.mp4", settings, load, Handling(restart=restart), leads=leads)

    leader, helper, bars = make_job(True), make_job(False), Bars(False)
    leader.begin()
    monkeypatch.setattr(job, "choose_model", lambda *_: ModelChoice(DEFAULT_MODEL, "it looks otherwise here"))
    helped = helper.run(bars)
    assert helped is not None and helped.restored_frames == 18
    led = leader.run(bars)
    assert led is not None and (led.status, led.restored_frames) == ("done", 0)
    assert helper.model.pipe is leader.model.pipe is pipes[REAL_MODEL]


def test_a_folder_knows_what_is_done(pipes: Pipes, stand_in: ModuleType, tmp_path: Path, run: Command) -> None:
    """Nothing is said of videos that are skipped."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, crf in (("a.mp4", 8), ("b.mp4", 34)):
        stand_in.write_video(folder / name, crf=crf)
    assert [result.status for result in upscale_folder(folder, tmp_path / "out")] == ["done", "done"]
    code, out, err = run("upscale", folder, tmp_path / "out")
    assert (code, err) == (0, "") and out.endswith("0 done, 2 skipped, 0 failed\n")
