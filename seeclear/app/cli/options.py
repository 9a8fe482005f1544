# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The options of the commands as a table. Parameters have the library's names, by which its messages are translated;
flags are what people type.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seeclear.shipped import AUTOMATIC_MODEL, DEFAULT_MODEL, REAL_MODEL


def _option(*flags: str, help: str, default: str | bool = False, **settings: Any) -> Any:
    """An option whose default is shown as `default`; False shows none."""
    return typer.Option(*flags, help=help, show_default=default, **settings)


# What goes in and out

PathIn = Annotated[
    str, typer.Argument(metavar="IN", help="A video, an image, a folder of images, or a folder of many of these.")
]
PathOut = Annotated[
    str,
    typer.Argument(
        metavar="OUT", help="A .mp4, .mov, .mkv, .webm, .gif, .png, .jpg or .webp file, or a folder (of PNGs)."
    ),
]
Images = Annotated[
    bool | None,
    _option(
        "--images/--no-images",
        help="Whether the images of a folder are pictures, each upscaled by itself, or frames of one video; default: "
        "pictures if their sizes differ or their names do not count up evenly. JPEG, PNG and WebP keep their kind.",
    ),
]
Fps = Annotated[
    str | None, _option("--fps", help="Frames per second of a folder of frames: 24, 29.97, 30000/1001; default: 25.")
]
Start = Annotated[
    str | None,
    _option(
        "--start",
        metavar="TIME",
        help="Upscale a part of a video that begins here: seconds or [HH:]MM:SS[.fff]. Sound and all else are cut to "
        "it, and its first frame is at time 0.",
    ),
]
Duration = Annotated[
    str | None, _option("--duration", metavar="TIME", help="How long the part is; default: up to the end.")
]
Frames = Annotated[
    int | None, _option("--frames", metavar="N", help="Instead of --duration: N frames; of folders of frames too.")
]
Deinterlace = Annotated[
    bool,
    _option(
        "--deinterlace",
        help="Make one picture of the two fields of each interlaced frame (FFmpeg's bwdif), as many as before; frames "
        "that are not interlaced stay as they are. Telecined film is not put together again.",
    ),
]
Compare = Annotated[
    str | None,
    _option("--compare", metavar="PNG_OR_MP4", help="Write bicubic and ours side by side: middle frame or video."),
]

# The size of the output

Scale = Annotated[float | None, _option("--scale", help="1 to 4, any number; default: the model's.")]
Width = Annotated[int | None, _option("--width", help="Of the output, instead of --scale.")]
Height = Annotated[int | None, _option("--height", help="Of the output; one of the two keeps the aspect ratio.")]
ExactSize = Annotated[
    bool,
    _option(
        "--exact-size/--no-exact-size",
        help="Keep odd sides, which fewer players show; else they are made even where videos are stored in 4:2:0.",
    ),
]

# How it is restored

Model = Annotated[
    str, _option("--model", help="A shipped model (seeclear models), a folder, or a hub id.", default=True)
]
AutomaticModel = Annotated[
    str,
    _option(
        "--model",
        help=f"A shipped model (seeclear models), a folder, or a hub id. {AUTOMATIC_MODEL}: each video is looked at; "
        f"{DEFAULT_MODEL} for a clean one, {REAL_MODEL} for one that is compressed or noisy.",
        default=True,
    ),
]
Detail = Annotated[
    float,
    _option(
        "--detail",
        help="How much of what a model with a prior makes up is kept: 1 all, 0 nothing, so that the result is its "
        "prior's, faithful and softer.",
        default=True,
    ),
]
Grain = Annotated[
    float,
    _option(
        "--grain",
        help="How much of the strength of the input's grain or noise, which is measured, is given back to the result "
        "as fresh grey grain: 0 nothing, 1 all.",
        default=True,
    ),
]
Steps = Annotated[int | None, _option("--steps", help="Denoising steps; default: the model's.")]
Sampler = Annotated[str | None, _option("--sampler", help="markov, resshift or ddim; default: the model's.")]
Seed = Annotated[int, _option("--seed", help="Seed of the noise, and of --grain.", default=True)]
Noise = Annotated[str, _option("--noise", help="How far a draw of noise reaches: video, clip or frame.", default=True)]
Vocabulary = Annotated[
    list[str] | None,
    _option(
        "--vocabulary",
        metavar="WORD",
        help="A word of what the model is to look for, such as person; may be repeated. Default: all that it knows.",
    ),
]
SceneDetection = Annotated[
    bool, _option("--scene-detection/--no-scene-detection", help="Let a scene cut end a clip.", default=True)
]
ClipLength = Annotated[int | None, _option("--clip-length", help="Frames that are restored together.")]
ClipOverlap = Annotated[
    int | None, _option("--clip-overlap", help="Frames that two clips share and that are blended.")
]
Memory = Annotated[
    str | None,
    _option(
        "--memory",
        help="Choose the tile that fits into this, such as 4GB; default: 4GB, more for large frames.",
    ),
]
Tile = Annotated[
    str | None, _option("--tile", help="Instead: side of a tile in input pixels, HxW, or 0: whole frames.")
]
TileOverlap = Annotated[
    int | None, _option("--tile-overlap", help="Input pixels that two tiles share and that are blended.")
]
Device = Annotated[str | None, _option("--device", help="cpu, cuda, mps, ...; default: the fastest.")]
Dtype = Annotated[str, _option("--dtype", help="auto, fp32, bf16 or fp16.", default=True)]

# How it is encoded

Codec = Annotated[str | None, _option("--codec", help="h264, h265, vp9, av1, ffv1, prores.")]
Crf = Annotated[int | None, _option("--crf", help="The encoder's quality; lower is better.")]
Preset = Annotated[str | None, _option("--preset", help="The encoder's speed.")]
PixFmt = Annotated[str | None, _option("--pix-fmt", help="Pixel format, such as yuv420p10le.")]
Audio = Annotated[
    str,
    _option(
        "--audio",
        help="copy: as it is, and encoded where the file cannot hold it; encode: in any case; none: no sound.",
        default=True,
    ),
]

# What is there already

Restart = Annotated[bool, _option("--restart", help="Throw away what an interrupted run has left, and begin anew.")]
Overwrite = Annotated[
    bool,
    _option(
        "--overwrite",
        help="Replace an output that is there, and a comparison. Without this, one that was made from the same input "
        "with the same settings is done, and any other is an error.",
    ),
]
Skip = Annotated[bool, _option("--skip", help="Leave an output that is there as it is, however it was made.")]
DryRun = Annotated[bool, _option("--dry-run", help="Only say what would be done, in how much memory and time.")]

# What is said

Quiet = Annotated[bool, _option("--quiet", "-q", help="Say errors only.")]
Verbose = Annotated[bool, _option("--verbose", "-v", help="Say more notes, and what took how long.")]
