# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`evaluate` and its command, with stand-ins for the model and once with a small pipeline from disk."""

import hashlib
import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from seeclear import SeeClearPipeline, SemanticLens
from seeclear.app import cli
from seeclear.app import evaluate as library
from seeclear.app.evaluate import Evaluation, EvaluationSettings, evaluate, methods
from seeclear.app.evaluate.clips import clip_generator
from seeclear.data import BicubicDegradation, GaussianDegradation, H264Compression, RealWorldDegradation, degrade
from seeclear.data.steps import FRAMEWISE
from seeclear.data.video_compression import transcode
from seeclear.metrics import psnr
from seeclear.metrics.evaluation import bicubic_frames
from seeclear.pipelines.settings import RestorationSettings
from seeclear.resize import imresize, to_uint8

STEPS = {*FRAMEWISE, transcode}


class StandIn:
    """Stands in for any pipeline: bicubic, made brighter by the number of steps, with a little seeded noise."""

    def __init__(self, scale: int = 4) -> None:
        self.scale = scale
        self.calls: list[tuple[int | None, str | None]] = []

    def set_progress_bar_config(self, **_: Any) -> None:
        pass

    def stream_clips(self, frames: Any, settings: RestorationSettings) -> Any:
        if settings.num_inference_steps is not None and settings.num_inference_steps > 15:
            raise ValueError(f"`num_inference_steps` is {settings.num_inference_steps}; it must be 1 to 15")

    def __call__(
        self,
        video: Tensor,
        num_inference_steps: int | None = None,
        sampler: str | None = None,
        generator: torch.Generator | None = None,
        output_type: str = "pil",
    ) -> Any:
        assert output_type == "pt" and video.min() >= 0 and video.max() <= 1
        self.calls.append((num_inference_steps, sampler))
        frames = imresize(video, scale=4) + 0.01 * (num_inference_steps or 0)
        frames = frames + 0.01 * torch.rand(frames.shape, generator=generator)
        return type("Output", (), {"frames": frames.clamp(0, 1)[None]})


class Regression(StandIn):
    """A pipeline without steps, samplers and noise."""

    def stream_clips(self, frames: Any, settings: RestorationSettings) -> Any:
        settings.refuse_sampling("Regression")

    def __call__(self, video: Tensor, output_type: str = "pil") -> Any:  # type: ignore[override]
        return type("Output", (), {"frames": imresize(video, scale=4).clamp(0, 1)[None]})


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StandIn:
    stand_in = StandIn()
    folder = tmp_path / "weights"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "model.safetensors").write_bytes(b"weights")
    (folder / "model_index.json").write_text("{}")

    def load(model: str, device: torch.device, dtype: torch.dtype) -> tuple[StandIn, Path]:
        if model == "missing":
            raise ValueError("there is no model of that name")
        return (Regression() if model == "regression" else stand_in), folder

    monkeypatch.setattr(methods, "load_model", load)
    return stand_in


def scene(count: int, seed: int, height: int = 50, width: int = 67) -> np.ndarray:
    """(F, H, W, 3) of a moving smooth texture."""
    noise = torch.rand(3, 20, 40, generator=torch.Generator().manual_seed(seed))
    whole = imresize(noise, size=(height, width + 20)).clamp(0, 1).mul(255).byte().permute(1, 2, 0).numpy()
    return np.stack([whole[:, 2 * i : 2 * i + width] for i in range(count)])


def write_folder(folder: Path, frames: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{i:03d}.png")
    return folder


def tensor(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(frames.transpose(0, 3, 1, 2).copy())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two clips, no multiples of 4, and ready frames for both."""
    for name, count, seed in [("run", 4, 0), ("walk", 3, 1)]:
        frames = scene(count, seed)
        write_folder(tmp_path / "gt" / name, frames)
        write_folder(tmp_path / "theirs" / name, frames[:, :48, :64] // 2 + 60)
    return tmp_path


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    """A report without what may differ between two runs."""
    clips = [{key: value for key, value in clip.items() if key != "seconds_per_frame"} for clip in report["clips"]]
    dropped = ("created", "mean_seconds_per_frame")
    return {key: value for key, value in report.items() if key not in dropped} | {"clips": clips}


def test_figures_are_those_of_the_frames(root: Path, pipe: StandIn) -> None:
    report = evaluate(root / "gt", predictions=[root / "theirs"], protocol="rgb", device="cpu").report
    assert list(report["mean"]) == ["bicubic", "theirs"] and pipe.calls == []
    for clip, count, seed in zip(report["clips"], (4, 3), (0, 1), strict=True):
        truth = tensor(scene(count, seed)[:, :48, :64])
        low_res = degrade(truth, BicubicDegradation())
        assert (clip["frames"], clip["height"], clip["width"]) == (count, 48, 64)
        assert clip["ground_truth_sha256"] == hashlib.sha256(truth.numpy().tobytes()).hexdigest()
        assert clip["low_res_sha256"] == hashlib.sha256(low_res.numpy().tobytes()).hexdigest()
        expected = {"bicubic": bicubic_frames(low_res, (48, 64)), "theirs": truth // 2 + 60}
        for name, frames in expected.items():
            figure = clip["figures"][name]["psnr"]
            assert figure == pytest.approx(psnr(frames, truth, "rgb").mean().item())
    means = [clip["figures"]["theirs"]["psnr"] for clip in report["clips"]]
    assert report["mean"]["theirs"]["psnr"] == pytest.approx(sum(means) / 2)
    assert "theirs" not in report["mean_seconds_per_frame"]


def test_two_evaluations_give_the_same_report(root: Path, pipe: StandIn) -> None:
    options: dict[str, Any] = {"models": ["tiny"], "steps": [1, 3], "samplers": ["ddim", "markov"], "seed": 5}
    metrics = ["psnr", "ssim", "frame-difference", "warping", "color-shift"]
    runs = []
    for i in range(2):
        path = root / f"{i}.json"
        runs.append(evaluate(root / "gt", metrics=metrics, device="cpu", json_path=path, **options))
        written = json.loads(path.read_text())
        assert timeless(written) == timeless(json.loads(json.dumps(runs[-1].report)))
    assert timeless(runs[0].report) == timeless(runs[1].report)
    other = evaluate(root / "gt", metrics=metrics, device="cpu", **(options | {"seed": 6}))
    assert other.report["mean"]["tiny, 1 step"] != runs[0].report["mean"]["tiny, 1 step"]
    assert list(runs[0].report["methods"]) == [
        "bicubic",
        "tiny, 1 step",
        "tiny, 3 steps, ddim",
        "tiny, 3 steps, markov",
    ]
    assert set(pipe.calls) == {(1, "ddim"), (3, "ddim"), (3, "markov")}


def test_low_resolution_as_a_video(root: Path, pipe: StandIn) -> None:
    clean, fine, coarse = (
        evaluate(root / "gt", predictions=[root / "theirs"], metrics=["psnr"], crf=crf, device="cpu").report
        for crf in (None, 5, 40)
    )
    assert (fine["settings"]["crf"], coarse["settings"]["crf"]) == (5, 40)
    quality = [report["mean"]["bicubic"]["psnr"] for report in (clean, fine, coarse)]
    assert quality == sorted(quality, reverse=True) and quality[0] - quality[2] > 1
    assert clean["mean"]["theirs"] == coarse["mean"]["theirs"]
    compressed = H264Compression((40, 40), (250, 250))
    for name, count, seed in [("run", 4, 0), ("walk", 3, 1)]:
        low_res = degrade(tensor(scene(count, seed)[:, :48, :64]), BicubicDegradation()).float() / 255
        video = to_uint8(compressed(low_res, np.random.default_rng(0)))
        write_folder(root / "videos" / name, video.permute(0, 2, 3, 1).numpy())
    given = evaluate(root / "gt", predictions=[root / "theirs"], low_res=root / "videos", device="cpu").report
    assert given["mean"]["bicubic"]["psnr"] == quality[2]


def test_the_report_has_what_it_takes_to_repeat_it(root: Path, pipe: StandIn) -> None:
    report = evaluate(root / "gt", frames=2, device="cpu", dtype="fp32", metrics=["psnr"]).report
    assert report["settings"] == {
        "ground_truth": [str(root / "gt")],
        "low_res": None,
        "degradation": "BI",
        "crf": None,
        "scale": 4,
        "protocol": {"name": "y", "channel": "y", "crop_border": 0, "description": "Luma, whole frames."},
        "metrics": ["psnr"],
        "stride": 1,
        "frames": 2,
        "seed": 0,
        "device": "cpu",
        "dtype": "float32",
        "threads": torch.get_num_threads(),
    }
    assert {"seeclear", "torch", "diffusers", "numpy", "av", "python"} <= set(report["versions"])
    about = report["methods"]["seeclear-tiny"]
    assert (about["kind"], about["class"]) == ("model", "StandIn")
    assert about["sha256"]["part/model.safetensors"] == hashlib.sha256(b"weights").hexdigest()
    assert set(about["sha256"]) == {"part/model.safetensors", "model_index.json"}
    assert [clip["frames"] for clip in report["clips"]] == [2, 2]


def test_low_resolution_made_or_given(root: Path, pipe: StandIn) -> None:
    made = evaluate(root / "gt", predictions=[root / "theirs"], degradation="BD", device="cpu").report
    for name, count, seed in [("run", 4, 0), ("walk", 3, 1)]:
        low_res = degrade(tensor(scene(count, seed)[:, :48, :64]), GaussianDegradation())
        write_folder(root / "lr" / name, low_res.permute(0, 2, 3, 1).numpy())
    given = evaluate(root / "gt", predictions=[root / "theirs"], low_res=root / "lr", device="cpu").report
    assert given["settings"]["degradation"] is None and given["settings"]["low_res"] == str(root / "lr")
    assert given["mean"] == made["mean"]
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(root / "lr" / "walk" / "003.png")
    with pytest.raises(ValueError, match="lr/walk' has 4 frames; the clip 'walk' needs 3"):
        evaluate(root / "gt", low_res=root / "lr", device="cpu")


def test_equal_frames_are_infinitely_good(root: Path, pipe: StandIn) -> None:
    write_folder(root / "copy" / "walk", scene(3, 1)[:, :48, :64])
    truth = root / "gt" / "walk"
    result = evaluate(truth, predictions=[root / "copy"], device="cpu", json_path=root / "out.json")
    assert result.report["mean"]["copy"]["psnr"] == math.inf
    assert json.loads((root / "out.json").read_text())["mean"]["copy"]["psnr"] == "inf"
    assert "inf (+inf)" in result.table


def test_predictions_may_be_videos(root: Path, pipe: StandIn) -> None:
    frames = scene(3, 1)[:, :48, :64]
    with av.open(str(root / "walk.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    report = evaluate(root / "gt" / "walk", predictions=[root / "walk.mkv"], device="cpu").report
    assert report["mean"]["walk"]["psnr"] == math.inf


def test_ready_frames_that_do_not_fit_are_named_before_any_model_is_loaded(root: Path, pipe: StandIn) -> None:
    def refused(message: str) -> None:
        with pytest.raises(ValueError, match=message):
            evaluate(root / "gt", models=["missing"], predictions=[root / "theirs"], device="cpu")

    extra = root / "theirs" / "run" / "004.png"
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(extra)
    refused("theirs/run' has 5 frames; the clip 'run' needs 4")
    extra.unlink()
    last = root / "theirs" / "run" / "003.png"
    whole = last.read_bytes()
    Image.fromarray(np.zeros((50, 64, 3), np.uint8)).save(last)
    refused(r"003\.png' is \(50, 64\), other frames of its folder are \(48, 64\)")
    Image.fromarray(np.zeros((48, 64), np.uint16)).save(last)
    refused(r"003\.png' has 16 bits a channel")
    last.write_bytes(b"no image")
    refused(r"003\.png' cannot be read")
    last.write_bytes(whole)
    refused("no model of that name")
    for file in (root / "theirs" / "walk").iterdir():
        file.unlink()
    refused("no frames of the clip 'walk'")
    write_folder(root / "theirs" / "deep" / "walk", scene(3, 1))
    with pytest.raises(ValueError, match=r"000\.png' is 67x50; frames of the clip 'walk' must be 64x48"):
        evaluate(root / "gt" / "walk", predictions=[root / "theirs" / "deep"], device="cpu")


def test_ready_frames_of_just_what_is_measured(root: Path, pipe: StandIn) -> None:
    (root / "theirs" / "run" / "003.png").unlink()
    report = evaluate(root / "gt", predictions=[root / "theirs"], frames=3, device="cpu").report
    assert [clip["frames"] for clip in report["clips"]] == [3, 3]


def test_crops(root: Path, pipe: StandIn) -> None:
    evaluate(root / "gt", predictions=[root / "theirs"], crops=root / "new" / "crops", device="cpu")
    for name in ("run", "walk"):
        with Image.open(root / "new" / "crops" / f"{name}.png") as picture:
            assert picture.size == (3 * 128, 16 + 96)


def test_settings_that_a_pipeline_does_not_take(root: Path, pipe: StandIn) -> None:
    report = evaluate(root / "gt", models=["regression"], device="cpu").report
    assert report["mean"]["regression"]["psnr"] == pytest.approx(report["mean"]["bicubic"]["psnr"], abs=1e-6)
    with pytest.raises(ValueError, match="`num_inference_steps` is 2; a Regression does not sample"):
        evaluate(root / "gt", models=["regression"], steps=[2], device="cpu")
    with pytest.raises(ValueError, match="`detail` is 0.5; it must be 1, because a Regression makes no detail up"):
        evaluate(root / "gt", models=["regression"], details=[0.5], device="cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degradation": "bicubic"}, "`degradation` must be one of"),
        ({"degradation": "real", "seed": -1}, "`seed` must be at least 0"),
        ({"crf": 52}, "`crf` is 52; it must be a number from 0 to 51"),
        ({"crf": float("nan")}, "`crf` is nan"),
        ({"crf": True}, "`crf` is True; it must be a number from 0 to 51"),
        ({"seed": "1"}, "`seed` is '1'; it must be a whole number"),
        ({"scale": 4.0}, "`scale` is 4.0; it must be a whole number of at least 1"),
        ({"frames": "all"}, "`frames` is 'all'; it must be a whole number of at least 1"),
        ({"seed": 2**64}, "`seed` is 18446744073709551616; it must have 64 bits"),
        ({"metrics": ["psnr", "niqe"]}, "run' is 64x48, too small for niqe in `metrics`"),
        ({"steps": [2], "predictions": ["theirs"]}, "`steps` is for models"),
        ({"details": [0.5], "predictions": ["theirs"]}, "`details` is for models"),
        ({"details": [2]}, "`detail` is 2; it must be a number from 0 to 1"),
        ({"perceptual_weights": "missing"}, "`perceptual_weights` has no meaning without one of lpips-vgg"),
        ({"niqe_parameters": "missing.npz"}, "`niqe_parameters` has no meaning without one of niqe"),
        ({"stride": 2}, "`stride` has no meaning without one of"),
        ({"crf": 23, "low_res": "lr"}, "`crf` is for a low resolution that is made here"),
        ({"degradation": "real", "low_res": "lr"}, "`degradation` is for a low resolution that is made here"),
        ({"protocol": "vid5"}, "`protocol` must be one of"),
        ({"metrics": ["lpips"]}, "`metrics` must name some of"),
        ({"scale": 0}, "`scale`"),
        ({"scale": 64}, "too small for `scale` = 64"),
        ({"scale": 2}, "enlarges by 4, but `scale` is 2"),
        ({"frames": 0}, "`frames`"),
        ({"models": ["tiny", "tiny"]}, "names of their own"),
        ({"device": "abacus"}, "`device`"),
        ({"json_path": "."}, "is a folder"),
        ({"crops": __file__}, "cannot be made"),
        ({"niqe_parameters": "missing.npz", "metrics": ["niqe"]}, "missing.npz"),
        ({"perceptual_weights": "missing", "metrics": ["dists"]}, "lpips_vgg16.npz"),
    ],
)
def test_bad_arguments(root: Path, pipe: StandIn, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(root / "gt", **({"device": "cpu"} | options))


def test_what_is_written_leaves_the_clips_alone(root: Path, pipe: StandIn) -> None:
    before = {path: path.read_bytes() for path in root.rglob("*.png")}
    for options, message in [
        ({"crops": root / "gt"}, "`crops` is .*gt'; it must not be in .*gt', where the clips are"),
        ({"crops": root / "gt" / "walk" / "crops"}, "it must not be in .*gt'"),
        ({"crops": root / "theirs", "predictions": [root / "theirs"]}, "it must not be in .*theirs'"),
        ({"json_path": root / "gt" / "walk" / "000.png"}, "000.png' is there and is no report"),
    ]:
        with pytest.raises(ValueError, match=message):
            evaluate(root / "gt", device="cpu", **options)
    assert not pipe.calls and {path: path.read_bytes() for path in root.rglob("*.png")} == before
    for _ in range(2):  # a report may take the place of a report
        evaluate(root / "gt", device="cpu", json_path=root / "report.json", crops=root / "crops")
    assert sorted(path.name for path in (root / "crops").iterdir()) == ["run.png", "walk.png"]


def test_a_small_pipeline_from_disk(root: Path, small_components: dict[str, Any]) -> None:
    SeeClearPipeline(**small_components).save_pretrained(root / "small")
    report = evaluate(
        root / "gt" / "walk", models=[str(root / "small")], steps=[2], frames=2, device="cpu", dtype="fp32"
    ).report
    about = report["methods"]["small, 2 steps"]
    assert about["class"] == "SeeClearPipeline" and about["num_inference_steps"] == 2
    assert "pixel_condenser/diffusion_pytorch_model.safetensors" in about["sha256"]
    assert math.isfinite(report["mean"]["small, 2 steps"]["psnr"])


def test_details_of_a_model_with_a_prior(
    root: Path, small_components: dict[str, Any], small_lens_config: dict[str, Any]
) -> None:
    pipe = SeeClearPipeline(**small_components, prior=SemanticLens(**small_lens_config).eval())
    pipe.set_progress_bar_config(disable=True)
    pipe.save_pretrained(root / "star")
    truth = tensor(scene(3, 1)[:2, :48, :64])
    low_res = degrade(truth, BicubicDegradation()).float() / 255
    options: dict[str, Any] = {"models": [str(root / "star")], "frames": 2, "metrics": ["psnr"]}
    report = evaluate(root / "gt" / "walk", details=[1, 0.25], device="cpu", dtype="fp32", **options).report
    for detail in (1, 0.25):
        restored = pipe(low_res, output_type="pt", generator=torch.Generator().manual_seed(0), detail=detail).frames[0]
        expected = psnr(to_uint8(restored), truth, "y").mean().item()
        assert report["mean"][f"star, detail {detail}"]["psnr"] == pytest.approx(expected, abs=1e-3)
        assert report["methods"][f"star, detail {detail}"]["detail"] == detail
    assert len({figures["psnr"] for figures in report["mean"].values()}) == 3


def run(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments)])


def test_command(root: Path, pipe: StandIn) -> None:
    done = run(
        *(root / "gt", "--model", "tiny", "--predictions", root / "theirs", "--steps", 2, "--steps", 1),
        *("--protocol", "reds4", "--frames", 2, "--seed", 3, "--device", "cpu", "--json", root / "out.json"),
        *("--metrics", "psnr, ssim", "--crops", root / "crops"),
    )
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("| PSNR-RGB, dB") and "run" in lines[2] and "walk" in lines[3]
    assert "2 clips, 4 frames" in lines
    for name in ("bicubic", "theirs", "tiny, 1 step", "tiny, 2 steps"):
        assert any(line.startswith(f"| {name} ") for line in lines)
    written = json.loads((root / "out.json").read_text())
    assert written["settings"]["seed"] == 3 and set(written["mean"]["theirs"]) == {"psnr", "ssim"}
    assert len(list((root / "crops").iterdir())) == 2


def test_command_says_in_one_line_what_is_wrong(root: Path, pipe: StandIn) -> None:
    done = run(root / "nowhere")
    assert done.exit_code == 2 and done.output.startswith("seeclear: error:") and len(done.output.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--lr", "absent", "--crf", 20), "error: --crf is for a low resolution that is made here; with --lr it has"),
        (("--steps", 99), "error: --steps is 99; it must be 1 to 15"),
        (("--model", "regression", "--steps", 2), "error: --steps is 2; a Regression does not sample"),
        (("--model", "regression", "--detail", 0.5), "error: --detail is 0.5; it must be 1, because a Regression"),
        (("--detail", 1.5), "error: --detail is 1.5; it must be a number from 0 to 1"),
        (("--model", "missing"), "there is no model of that name"),
        (("--scale", 2), "error: --model 'seeclear-tiny' enlarges by 4, but --scale is 2"),
        (("--protocol", "vid5"), "error: --protocol must be one of"),
        (("--metrics", "lpips"), "error: --metrics must name some of"),
        (("--frames", 0), "error: --frames is 0; it must be a whole number of at least 1"),
        (("-q", "-v"), "error: give --quiet or --verbose, not both"),
    ],
)
def test_command_names_flags_as_they_are_typed(
    root: Path, pipe: StandIn, options: tuple[Any, ...], message: str
) -> None:
    done = run(root / "gt", "--device", "cpu", *options)
    assert done.exit_code == 2 and message in done.output and len(done.output.splitlines()) == 1
    assert pipe.calls == []  # before any work


def test_command_takes_all_metrics(root: Path, pipe: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[EvaluationSettings] = []

    def record(_: Any, settings: EvaluationSettings, **__: Any) -> Evaluation:
        seen.append(settings)
        report = {"clips": [{"frames": 3}]}
        return Evaluation(report, "| table |", "")

    monkeypatch.setattr(library, "evaluate", record)
    done = run(root / "gt", "--metrics", "all", "--lr", root / "lr", "--stride", 5)
    assert done.exit_code == 0 and "1 clip, 3 frames" in done.output
    assert set(seen[0].metrics) >= {"psnr", "lpips-alex", "dists", "niqe", "warping"}
    assert (seen[0].low_res, seen[0].stride) == (str(root / "lr"), 5)
    assert run(root / "gt", "-q").output == "" and seen[1] == EvaluationSettings(metrics=list(seen[1].metrics))
    assert tuple(seen[1].metrics) == EvaluationSettings.metrics


def test_low_resolution_as_of_real_videos(root: Path, pipe: StandIn) -> None:
    """Each clip has a history of its own, told by the seed and its name, whatever is measured beside it."""
    options: dict[str, Any] = {"predictions": [root / "theirs"], "metrics": ["psnr"], "device": "cpu"}
    both = evaluate(root / "gt", degradation="real", seed=3, json_path=root / "real.json", **options).report
    assert both["settings"]["degradation"] == "real"
    written = json.loads((root / "real.json").read_text())["clips"]
    known = {function.__name__: function for function in STEPS}
    for clip, count, seed in zip(written, (4, 3), (0, 1), strict=True):
        truth = tensor(scene(count, seed)[:, :48, :64])
        steps = [partial(known[about.pop("step")], **about) for about in clip["degradation"]]
        low_res = to_uint8(RealWorldDegradation().apply(truth, steps))  # what is written down repeats it
        assert clip["low_res_sha256"] == hashlib.sha256(low_res.numpy().tobytes()).hexdigest()
        drawn = RealWorldDegradation()(truth.float() / 255, clip_generator(3, clip["name"]))
        assert torch.equal(to_uint8(drawn), low_res)
    run, walk = (clip["degradation"] for clip in both["clips"])
    assert run != walk
    alone = evaluate(root / "gt" / "walk", degradation="real", seed=3, **options | {"predictions": ()}).report
    assert {key: alone["clips"][0][key] for key in ("degradation", "low_res_sha256")} == {
        key: both["clips"][1][key] for key in ("degradation", "low_res_sha256")
    }
    other = evaluate(root / "gt", degradation="real", seed=4, **options).report
    assert all(
        one["degradation"] != two["degradation"] for one, two in zip(both["clips"], other["clips"], strict=True)
    )
    assert evaluate(root / "gt", **options).report["clips"][0]["degradation"] is None


def test_a_last_video_after_what_happens_to_real_videos(root: Path, pipe: StandIn) -> None:
    options: dict[str, Any] = {"predictions": [root / "theirs"], "metrics": ["psnr"], "device": "cpu"}
    report = evaluate(root / "gt", degradation="real", crf=35, **options).report
    plain = evaluate(root / "gt", degradation="real", **options).report
    for clip, before, count, seed in zip(report["clips"], plain["clips"], (4, 3), (0, 1), strict=True):
        assert clip["degradation"] == before["degradation"]
        truth = tensor(scene(count, seed)[:, :48, :64]).float() / 255
        chain = RealWorldDegradation()(truth, clip_generator(0, clip["name"]))
        last = to_uint8(H264Compression((35, 35), (250, 250))(chain, np.random.default_rng(0)))
        assert clip["low_res_sha256"] == hashlib.sha256(last.numpy().tobytes()).hexdigest()


def test_command_with_what_happens_to_real_videos(root: Path, pipe: StandIn) -> None:
    done = run(root / "gt", "--degradation", "real", "--crf", 28, "--seed", 2, "--predictions", root / "theirs")
    assert done.exit_code == 0 and "2 clips, 7 frames" in done.output
    done = run(root / "gt", "--degradation", "real", "--seed", -1)
    assert done.exit_code == 2 and done.output.startswith("seeclear: error: --seed must be at least 0")
