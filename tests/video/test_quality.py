# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Verdicts on videos made of real and of drawn content by many codecs, and what they are made from, by hand."""

import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from seeclear.video import VideoReader, quality
from seeclear.video.artefacts import block_grids, noise_level
from seeclear.video.color import BT601, FULL_RANGE, LIMITED_RANGE, rgb_to_ycbcr
from seeclear.video.excerpt import Excerpt
from seeclear.video.quality import FRAMES, VideoQuality, assess_quality
from seeclear.video.quantisers import h264_step, vp8_step, vp9_step

DEMO = Path(__file__).parents[2] / "examples" / "assets" / "bunny_lr.mp4"
X265 = "log-level=none:pools=none:frame-threads=1:wpp=0"

# name of the file, encoder, its options, pixel format; or a folder, format of the images, options of Pillow
VIDEOS: dict[str, list[tuple[Any, ...]]] = {
    "clean": [
        ("ffv1.mkv", "ffv1", {}, "yuv420p"),
        ("qp0.mp4", "libx264", {"qp": "0"}, "yuv420p"),
        ("crf6.mp4", "libx264", {"crf": "6"}, "yuv420p"),
        ("crf12.mkv", "libx264", {"crf": "12"}, "yuv420p"),
        ("deep.mp4", "libx264", {"crf": "8", "preset": "veryfast"}, "yuv420p10le"),
        ("hevc.mp4", "libx265", {"preset": "ultrafast", "x265-params": f"{X265}:qp=8"}, "yuv420p"),
        ("mpeg4.avi", "mpeg4", {"qmin": "1", "qmax": "1"}, "yuv420p"),
        ("prores.mov", "prores_ks", {"profile": "hq"}, "yuv422p10le"),
        ("huffyuv.avi", "huffyuv", {}, "yuv422p"),
        ("png", "PNG", {"compress_level": 1}),
        ("jpeg97", "JPEG", {"quality": 97}),
        ("jpeg99", "JPEG", {"quality": 99, "subsampling": 0}),
    ],
    "compressed": [
        ("crf18.mp4", "libx264", {"crf": "18"}, "yuv420p"),
        ("crf23.mp4", "libx264", {"crf": "23"}, "yuv420p"),
        ("crf28.mkv", "libx264", {"crf": "28"}, "yuv420p"),
        ("crf33.ts", "libx264", {"crf": "33", "preset": "veryfast"}, "yuv420p"),
        ("fast.mp4", "libx264", {"crf": "23", "preset": "ultrafast"}, "yuvj420p"),
        ("hevc22.mp4", "libx265", {"crf": "22", "preset": "fast", "x265-params": X265}, "yuv420p"),
        ("hevc28.mkv", "libx265", {"crf": "28", "preset": "fast", "x265-params": X265}, "yuv420p"),
        ("vp9.webm", "libvpx-vp9", {"crf": "32", "b": "0", "deadline": "realtime", "cpu-used": "6"}, "yuv420p"),
        ("mpeg4.avi", "mpeg4", {"qmin": "4", "qmax": "4"}, "yuv420p"),
        ("mpeg2.mkv", "mpeg2video", {"qmin": "4", "qmax": "4"}, "yuv420p"),
        ("mjpeg.avi", "mjpeg", {"qmin": "5", "qmax": "5"}, "yuvj420p"),
        ("jpeg60", "JPEG", {"quality": 60}),
        ("jpeg75", "JPEG", {"quality": 75}),
        ("jpeg85", "JPEG", {"quality": 85}),
    ],
}


def demo() -> np.ndarray:
    """(12, 180, 320, 3), uint8: the demo clip, H.264 of CRF 8."""
    with VideoReader(DEMO) as reader:
        return np.stack([image for _, image in zip(range(FRAMES), reader, strict=False)])


def drawn() -> np.ndarray:
    """(12, 160, 256, 3), uint8: cloudy texture with a smooth sky and discs that move over it."""
    rng = np.random.default_rng(3)
    height, width = 192, 320
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    spectrum = (fy**2 + fx**2 + 1e-4) ** -0.85
    planes = [np.fft.ifft2(np.fft.fft2(rng.standard_normal((height, width))) * spectrum).real for _ in range(2)]
    cloud = np.stack([planes[0], planes[0] + 0.2 * planes[1], planes[0] - 0.2 * planes[1]], axis=-1)
    cloud /= cloud.std()
    picture = 120 + 40 * cloud
    picture[:60] = 90 + np.arange(60)[:, None, None] + 4 * cloud[:60]
    y, x = np.mgrid[:height, :width]
    for _ in range(24):
        inside = (y - rng.integers(height)) ** 2 + (x - rng.integers(width)) ** 2 < rng.integers(4, 15) ** 2
        picture[inside] = 0.3 * picture[inside] + 0.7 * rng.integers(20, 235, 3)
    frames = [picture[i : i + 160, 2 * i : 2 * i + 256] for i in range(FRAMES)]
    return np.rint(frames).clip(0, 255).astype(np.uint8)


def noisy(frames: np.ndarray, sigma: float) -> np.ndarray:
    noise = sigma * np.random.default_rng(0).standard_normal(frames.shape)
    return np.rint(frames + noise).clip(0, 255).astype(np.uint8)


def write(path: Path, frames: np.ndarray, codec: str, options: dict[str, str], pixel_format: str = "yuv420p") -> Path:
    color_range = FULL_RANGE if pixel_format == "yuvj420p" else LIMITED_RANGE
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"threads": "1", **options})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], pixel_format
        for index, image in enumerate(frames):
            planes = rgb_to_ycbcr(image.astype(np.float32) / 255, BT601, color_range, 8, (2, 2), True)
            codes = np.concatenate([plane.reshape(-1) for plane in planes]).reshape(-1, image.shape[1])
            frame = av.VideoFrame.from_ndarray(codes, format="yuv420p")
            frame.color_range = color_range
            if pixel_format != "yuv420p":
                frame = frame.reformat(format=pixel_format, src_color_range=color_range, dst_color_range=color_range)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_images(folder: Path, frames: np.ndarray, kind: str, options: dict[str, Any]) -> Path:
    folder.mkdir()
    for index, image in enumerate(frames):
        Image.fromarray(image).save(folder / f"{index:03d}.{kind.lower()}", kind, **options)
    return folder


def make(folder: Path, frames: np.ndarray, name: str, *how: Any) -> Path:
    return (write if "." in name else write_images)(folder / name, frames, *how)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], VideoQuality]:
    """By the verdict that is right, the content, and the name."""
    found = {}
    for content, frames in (("demo", demo()), ("drawn", drawn())):
        for verdict, videos in VIDEOS.items():
            folder = tmp_path_factory.mktemp(content)
            for video in videos:
                found[verdict, content, video[0]] = assess_quality(make(folder, frames, *video))
        folder = tmp_path_factory.mktemp(content)
        for sigma in (6, 10):
            grain = noisy(frames, sigma)
            for name, *how in (VIDEOS["clean"][0], VIDEOS["clean"][2], VIDEOS["clean"][9]):
                path = make(folder, grain, f"{sigma}{name}", *how)
                found["noisy", content, path.name] = assess_quality(path)
    return found


def test_verdicts(judged: dict[tuple[str, str, str], VideoQuality]) -> None:
    wrong = {key: found for key, found in judged.items() if found.verdict != key[0]}
    assert len(judged) >= 60 and len(wrong) <= 2, wrong


def test_reasons_are_lines_for_a_user(judged: dict[tuple[str, str, str], VideoQuality]) -> None:
    for found in judged.values():
        assert re.fullmatch(r"[A-Z][^\n]{10,120}", found.reason), found.reason
    patterns = {
        ("compressed", "crf23.mp4"): r"H\.264 at 0\.\d+ bits a pixel, coarsely coded \(step \d\d\.\d\)",
        ("compressed", "jpeg75"): r"JPEG at \d\.\d+ bits a pixel, coarsely coded \(step 29\)",
        (
            "clean",
            "crf6.mp4",
        ): r"H\.264 at \d\.\d+ bits a pixel, finely coded \(step 2\.\d+\), no visible blocks or noise",
        ("clean", "ffv1.mkv"): r"FFV1 at \d\.?\d* bits a pixel, no visible blocks or noise",
        ("noisy", "10png"): r"PNG at \d+\.?\d* bits a pixel, noise of \d\.?\d* grey levels",
    }
    for (verdict, name), pattern in patterns.items():
        assert re.fullmatch(pattern, judged[verdict, "demo", name].reason), judged[verdict, "demo", name].reason


def test_codecs_are_named(judged: dict[tuple[str, str, str], VideoQuality]) -> None:
    names = Counter(found.codec for found in judged.values())
    assert set(names) == {
        *("h264", "hevc", "vp9", "mpeg4", "mpeg2video", "mjpeg", "ffv1", "huffyuv", "prores", "png", "jpeg")
    }


def test_steps_rise_with_the_rate_factor(judged: dict[tuple[str, str, str], VideoQuality]) -> None:
    for content in ("demo", "drawn"):
        names = [("clean", "crf6.mp4"), ("clean", "crf12.mkv")]
        names += [("compressed", f"crf{name}") for name in ("18.mp4", "23.mp4", "28.mkv", "33.ts")]
        found = [judged[verdict, content, name] for verdict, name in names]
        steps = [item.quantiser or 0 for item in found]
        assert steps == sorted(steps) and steps[0] > 0
        rates = [item.bits_per_pixel for item in found]
        assert rates == sorted(rates, reverse=True)
        assert judged["clean", content, "qp0.mp4"].quantiser == pytest.approx(0.63, abs=0.01)
        assert judged["clean", content, "ffv1.mkv"].quantiser is None


# What streams tell


CONSTANT = "ipratio=1:pbratio=1:aq-mode=0:mbtree=0"


@pytest.mark.parametrize(
    ("name", "codec", "options", "pixel_format", "step"),
    [
        ("a.mp4", "libx264", {"x264-params": f"qp=22:{CONSTANT}"}, "yuv420p", 8),  # 2 ** ((22 - 4) / 6)
        ("a.mkv", "libx264", {"x264-params": f"qp=16:{CONSTANT}"}, "yuv420p", 4),
        ("b.mp4", "libx264", {"x264-params": f"qp=34:{CONSTANT}"}, "yuv420p10le", 8),  # counts two bits more: 22
        ("a.h264", "libx264", {"x264-params": f"qp=22:{CONSTANT}"}, "yuv420p", 8),
        ("c.mp4", "libx265", {"x265-params": f"{X265}:qp=22:ipratio=1:pbratio=1"}, "yuv420p", 8),
        ("a.hevc", "libx265", {"x265-params": f"{X265}:qp=34:ipratio=1:pbratio=1"}, "yuv420p", 32),
        ("a.avi", "mpeg4", {"qmin": "3", "qmax": "3"}, "yuv420p", 6),  # H.263's: levels are 2 q apart
        ("b.avi", "mpeg2video", {"qmin": "5", "qmax": "5"}, "yuv420p", 10),  # the linear scale: 2 q
        ("a.webm", "libvpx-vp9", {"lossless": "1"}, "yuv420p", 0.9),
    ],
)
def test_steps_by_hand(
    name: str, codec: str, options: dict[str, str], pixel_format: str, step: float, tmp_path: Path
) -> None:
    path = write(tmp_path / name, drawn()[:5, :64, :96], codec, options, pixel_format)
    assert assess_quality(path).quantiser == pytest.approx(step, abs=0.05)


def test_steps_of_jpeg_are_the_mean_of_its_table(tmp_path: Path) -> None:
    table = [5] * 32 + [9] * 32
    folder = write_images(tmp_path / "a", drawn()[:3, :64, :96], "JPEG", {"qtables": [table, [99] * 64]})
    found = assess_quality(folder)
    assert (found.quantiser, found.verdict, found.codec) == (7, "compressed", "jpeg")
    sizes = [file.stat().st_size for file in folder.iterdir()]
    assert found.bits_per_pixel == pytest.approx(8 * np.mean(sizes) / (64 * 96))
    assert assess_quality(folder / "001.jpeg").quantiser == 7


def test_steps_of_other_scales() -> None:
    assert h264_step(np.array([4, 10, 16, 51])).tolist() == pytest.approx([1, 2, 4, 2 ** (47 / 6)])
    # tables: VP9's at 8 bits has 8 at 1, 102 at 95 and 1828 at 255, in eighths; VP8's 4 at 0, 58 at 54, 284 at 127
    assert vp9_step(np.array([1, 95, 255])).tolist() == pytest.approx([1, 102 / 8, 1828 / 8], rel=0.1)
    assert vp8_step(np.array([0, 54, 127])).tolist() == pytest.approx([2, 29, 142], rel=0.1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_bits_per_pixel(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, drawn()[:7, :64, :96], "libx264", {"crf": "20"})
    with av.open(str(path)) as container:
        total = sum(packet.size for packet in container.demux(video=0))
    assert assess_quality(path).bits_per_pixel == pytest.approx(8 * total / (7 * 64 * 96))


def test_a_part_is_judged_by_itself(tmp_path: Path) -> None:
    """One second of quantiser 10 (a step of 2) and one of 34 (32), with four key frames in each."""
    zones = "keyint=6:min-keyint=6:scenecut=0:aq-mode=0:zones=0,23,q=10/24,47,q=34"
    frames = np.concatenate([drawn()[:, :64, :96]] * 4)
    path = write(tmp_path / "a.mp4", frames, "libx264", {"x264-params": f"crf=20:{zones}"})

    def step(**part: Any) -> float:
        return assess_quality(path, Excerpt.parse(**part)).quantiser or 0

    fine, coarse = step(frames=12), step(start="0.96")
    assert fine < 3 and coarse > 20 and fine < step() < coarse
    assert step(duration=0.48) == pytest.approx(fine, abs=0.5) and step(start=1, frames=3) == pytest.approx(
        coarse, 0.2
    )
    assert assess_quality(path, Excerpt.parse(start=1)).verdict == "compressed"
    assert assess_quality(path, Excerpt.parse(frames=12)).verdict == "clean"


def test_the_first_images_of_a_folder(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "a", drawn()[:4, :64, :96], "JPEG", {"quality": 98})
    drawn_again = Image.fromarray(drawn()[4, :64, :96])
    drawn_again.save(folder / "004.jpeg", quality=50)
    assert assess_quality(folder, Excerpt(frames=4)).quantiser == assess_quality(folder / "000.jpeg").quantiser
    assert (assess_quality(folder).quantiser or 0) > 5
    with pytest.raises(ValueError, match="`excerpt` is from 0 s, 2 frames at most; of frames in memory give those"):
        assess_quality(drawn(), Excerpt(frames=2))


def test_codecs_whose_steps_are_not_known_go_by_their_rate(tmp_path: Path) -> None:
    """Less is asked of a codec that predicts frames from others than of one that does not."""
    frames = demo()
    low = assess_quality(write(tmp_path / "a.mov", frames, "prores_ks", {"profile": "proxy"}, "yuv422p10le"))
    assert low.quantiser is None and 1 < (low.bits_per_pixel or 0) < quality.FEWEST_BITS_ALONE
    assert (low.verdict, low.reason) == ("compressed", f"ProRes at {low.bits_per_pixel:.3g} bits a pixel")
    sparse = assess_quality(write(tmp_path / "a.avi", frames, "snow", {"strict": "-2"}))
    assert sparse.quantiser is None and (sparse.bits_per_pixel or 9) < quality.FEWEST_BITS
    assert (sparse.verdict, sparse.reason) == ("compressed", f"SNOW at {sparse.bits_per_pixel:.3g} bits a pixel")


# What pixels tell


def grid(phase: tuple[int, int], height: float, side: int = 8) -> np.ndarray:
    """(2, 120, 160): soft waves on which every block is lighter or darker at random, by `height` at most."""
    y, x = np.mgrid[:120, :160]
    rng = np.random.default_rng(1)
    blocks = rng.uniform(-height, height, (2, 40, 60))
    waves = 120 + 40 * np.sin(x / 23) * np.cos(y / 17) + rng.standard_normal((2, 120, 160))
    return (waves + blocks[:, (y + phase[0]) // side, (x + phase[1]) // side]).astype(np.float32)


def test_a_grid_is_found_wherever_it_begins() -> None:
    weak = [block_grids(grid((phase, 7 - phase), 3))[0] for phase in range(8)]
    assert min(weak) > 0.6 and max(weak) < 1.3 * min(weak)
    halves = [block_grids(grid((0, 0), height))[0] for height in (0, 1, 2, 4)]
    assert halves[0] == 0 and halves == sorted(halves)
    assert block_grids(grid((0, 0), 4, side=7)) == (0, 0)


def test_strong_edges_on_a_grid_of_four() -> None:
    found = [block_grids(grid((phase, 0), 40, side=4))[1] for phase in range(4)]
    assert min(found) > 0.3
    assert block_grids(grid((0, 0), 40, side=5))[1] == 0


def test_texture_and_noise_are_no_grid() -> None:
    rng = np.random.default_rng(0)
    for luma in (rng.uniform(0, 255, (3, 90, 130)), np.full((2, 64, 64), 9.0), np.mgrid[:2, :80, :99][2] * 2.0):
        assert block_grids(luma.astype(np.float32)) == (0, 0)
    assert block_grids(np.zeros((1, 63, 40), np.float32)) == (0, 0)
    for frames in (demo(), drawn()):
        weak, strong = block_grids(frames.mean(axis=-1, dtype=np.float32))
        assert weak < quality.VISIBLE_GRID and strong < quality.VISIBLE_EDGES


@pytest.mark.parametrize("sigma", [1, 4, 12])
def test_noise_is_measured(sigma: float) -> None:
    rng = np.random.default_rng(0)
    waves = 120 + 40 * np.sin(np.mgrid[:4, :96, :128][2] / 23)
    level = noise_level((waves + sigma * rng.standard_normal(waves.shape)).astype(np.float32))
    assert level == pytest.approx(sigma, rel=0.06)
    grey = drawn().mean(axis=-1)
    level = noise_level((grey + sigma * rng.standard_normal(grey.shape)).astype(np.float32))
    assert level == pytest.approx(sigma, rel=0.15) or sigma == 1


def test_texture_is_no_noise_and_clipped_noise_is_left_out() -> None:
    assert noise_level(drawn().mean(axis=-1, dtype=np.float32)) < 1
    rng = np.random.default_rng(0)
    dark = np.abs(3 * rng.standard_normal((2, 64, 64))).astype(np.float32)
    assert noise_level(dark) == noise_level(255 - dark) == noise_level(np.zeros((1, 5, 5), np.float32)) == 0


@pytest.mark.parametrize("content", [demo, drawn])
def test_images_made_from_a_video_with_blocks(content: Callable[[], np.ndarray], tmp_path: Path) -> None:
    """Without a stream, and cropped anywhere; H.264 has no such blocks, unless it is told not to smooth them."""
    frames = content()
    unfiltered = {"crf": "30", "preset": "veryfast", "x264-params": "no-deblock=1"}
    for name, codec, options in [
        ("a.avi", "mpeg4", {"qmin": "12", "qmax": "12"}),
        ("b.mkv", "mpeg2video", {"qmin": "12", "qmax": "12"}),
        ("c.mp4", "libx264", unfiltered),
    ]:
        with VideoReader(write(tmp_path / name, frames, codec, options)) as reader:
            decoded = np.stack(list(reader))
        found = assess_quality(decoded[:, 3:, 5:])
        assert (found.verdict, found.codec, found.quantiser) == ("compressed", None, None)
        assert found.reason == "visible blocks"
    copy = assess_quality(write(tmp_path / "copy.mkv", decoded, "ffv1", {}))
    assert copy.verdict == "compressed" and copy.codec == "ffv1"


# What may be given, and how much of it is read


def test_every_form_of_the_same_frames(tmp_path: Path) -> None:
    frames = noisy(drawn()[:3, :80, :96], 8)
    folder = write_images(tmp_path / "a", frames, "PNG", {})
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2)
    images = [Image.fromarray(frame) for frame in frames]
    forms = [frames, frames.astype(np.float32) / 255, tensor, tensor / 255, images, list(frames), list(tensor)]
    found = [assess_quality(form) for form in (str(folder), folder, *forms)]
    for item in found:
        assert (item.verdict, item.blockiness, item.edge_grid) == ("noisy", 0, 0)
        assert item.noise == pytest.approx(found[0].noise, rel=1e-4)
    assert found[2].reason == f"noise of {found[2].noise:.2g} grey levels"
    assert found[2].bits_per_pixel is found[2].codec is None
    single = [assess_quality(form).noise for form in (folder / "000.png", images[0], frames[:1])]
    assert single == pytest.approx([single[0]] * 3, rel=1e-4)


def test_what_is_refused(tmp_path: Path) -> None:
    frames = drawn()[:2, :64, :64]
    folder = write_images(tmp_path / "sizes", frames, "PNG", {})
    Image.fromarray(frames[0, :60]).save(folder / "b.png")
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(DEMO.read_bytes()[:3000])
    for video, message in [
        (tmp_path / "none.mp4", "there is no such file"),
        ("https://example.org/a.mp4", "addresses are not opened"),
        (tmp_path / "text.mp4", "text.mp4: "),
        (tmp_path / "empty", "has no images"),
        (cut, "cut.mp4: "),
        (folder, "all images must have one size"),
        ([], "`video` must not be empty"),
        (frames[:0], "`video` must not be empty"),
        (frames[None], "`video` is a batch"),
        ([frames, frames], "`video` is a batch"),
        (["a.mp4", "b.mp4"], "`video` is a batch"),
        (frames[..., 0], "`video`"),
        (iter(frames), "`video` must be"),
        (3, "`video` must be"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            assess_quality(video)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "spread"), [("a.mp4", True), ("a.mkv", True), ("a.ts", True), ("a.h264", False)])
def test_a_long_video_is_looked_at_in_four_places(
    name: str, spread: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(quality, "_luma", lambda frame, codec: seen.append(frame.pts) or np.zeros((64, 64)))
    decoded: list[int] = []
    add_packet = quality.StepMeter.add_packet
    monkeypatch.setattr(
        quality.StepMeter, "add_packet", lambda self, packet: decoded.append(1) or add_packet(self, packet)
    )
    frames = np.resize(drawn()[:, :64, :64], (600, 64, 64, 3))
    path = write(tmp_path / name, frames, "libx264", {"g": "50", "preset": "ultrafast"})
    assess_quality(path)
    assert len(seen) == FRAMES and len(decoded) < 60
    if spread:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            step = 1 / (25 * stream.time_base)
            places = [round((time - (stream.start_time or 0)) / step) // 50 for time in seen]
        assert places == [0] * 3 + [3] * 3 + [6] * 3 + [9] * 3


def test_a_video_with_one_key_frame_gives_its_first_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(quality, "_luma", lambda frame, codec: seen.append(frame.pts) or np.zeros((64, 64)))
    path = write(tmp_path / "a.mkv", np.resize(drawn()[:, :64, :64], (40, 64, 64, 3)), "libx264", {"g": "250"})
    assess_quality(path)
    assert sorted(seen) == [40 * index for index in range(FRAMES)]  # in milliseconds


def test_animations(tmp_path: Path) -> None:
    first, *others = [Image.fromarray(frame) for frame in drawn()[:4, :64, :96]]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=40)
    found = assess_quality(tmp_path / "a.gif")
    assert (found.codec, found.quantiser) == ("gif", None)


def test_what_is_damaged_is_judged_up_to_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", drawn(), "libx264", {"crf": "23", "g": "4"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert assess_quality(path).verdict == "compressed"


def test_large_pictures_are_judged_by_their_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(quality, "block_grids", lambda luma: shapes.append(luma.shape) or (0.0, 0.0))
    picture = np.zeros((1, 70, 1500, 3), np.uint8)
    picture[:, :, :270] = picture[:, :, -270:] = 255  # beside the 960 in the middle
    assess_quality(picture)
    assert shapes == [(1, 70, 960)]
    assert quality.middle(picture[0]).max() == 0
