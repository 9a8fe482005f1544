# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Makes a Semantic Lens out of a checkpoint of BasicSR's BasicVSR, to use as it is or to train.

    python examples/convert_basicvsr.py BasicVSR_Vimeo90K_BIx4.pth --output_dir semantic-lens

`--output_dir` becomes a pipeline folder in float32. The lens has semantic modules, which begin as identities, so that
its frames are BasicVSR's until they are trained; `--without` leaves some out, and `--with` adds what begins the same
way. The checkpoint is a pickle, of which tensors and containers are read alone.

The checkpoint's flow network began as the published SPyNet, whose authors allow neither commercial use nor passing it
on. `--flow dis` leaves it out.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from seeclear import SemanticLens, SemanticLensPipeline
from seeclear.shipped import locate
from seeclear.training.loop import one_line_errors
from seeclear.training.semantics import load_distiller

MODULES = ("gps", "isee", "multi_frame_attention")
ADDITIONS = ("motion_compensation", "coupled_branches", "second_order")
CLIP_LENGTH, CLIP_OVERLAP = 20, 2
PUBLISHED = {
    "2a29695a2607a10db193234cae388a2b486862aacf636e0b6f8bc218a9cba401": "trained on Vimeo-90K, bicubic",
    "e9bf46ebb478abfc3002572ae67194f6b99fed5070262d75ec537f9b9df4477e": "trained on Vimeo-90K, Gaussian blur",
    "543c826113a9efdc971572320a9e259833fc230f843d94f7ef7270c92b5ea4dc": "trained on REDS, bicubic",
}
"""The published checkpoints by their SHA-256: the videos, and how their low resolution was made."""
NOTICE = """\
The Pixel Enhancer in this folder has the weights of BasicVSR (Kelvin C.K. Chan, Xintao Wang, Ke Yu, Chao Dong and Chen
Change Loy, "BasicVSR: The Search for Essential Components in Video Super-Resolution and Beyond", CVPR 2021, arXiv
2012.02181), as published with BasicSR (https://github.com/XPixelGroup/BasicSR) under the Apache License 2.0.
{flow}
Checkpoint: {about}, SHA-256 {digest}.

What was changed: weights have other names and are stored as safetensors; the first convolution of each trunk is stored
as two, for the frame and for the features; the last convolution is doubled, since frames are in [-1, 1] here; modules
that begin as identities were added.
"""
FLOW_NOTICE = {
    "dis": """
The checkpoint's flow network was left out.
""",
    "spynet": """
Its flow network began as SPyNet (Anurag Ranjan and Michael J. Black, CVPR 2017), whose trained model its authors
license for non-commercial research and do not allow to be passed on (https://github.com/anuragranj/spynet, LICENSE).
""",
}
CARD = """\
---
license: apache-2.0
library_name: diffusers
pipeline_tag: video-to-video
tags:
- video-super-resolution
- semantic-lens
- seeclear
---

# {name}

Video super-resolution by a factor of 4: a [Semantic Lens](https://arxiv.org/abs/2312.07823) whose Pixel Enhancer is
[BasicVSR](https://arxiv.org/abs/2012.02181), {about}. Modules that add nothing until they are trained: {modules}.

```python
from seeclear import SemanticLensPipeline

pipe = SemanticLensPipeline.from_pretrained("{name}")
frames = pipe("video.mp4").frames[0]
```

Where the weights come from, and their terms: [NOTICE](NOTICE).
"""


def convert(
    file: Path, output_dir: Path, distiller: str, without: Sequence[str], additions: Sequence[str], flow: str
) -> None:
    """Writes the pipeline, its model card and the notice.

    Raises:
        ValueError: the checkpoint can't be used.
        FileExistsError: `output_dir` is there already.
    """
    if output_dir.exists():
        raise FileExistsError(f"{str(output_dir)!r} is there already")
    network, widths = None, {}
    if not {"gps", "isee"} <= set(without):
        network = load_distiller(locate(distiller, "distiller"))
        widths = {"semantic_token_dim": network.token_dim, "semantic_feature_dim": network.feature_dim}
    switches = dict.fromkeys(without, False) | dict.fromkeys(additions, True)
    lens = SemanticLens.from_basicvsr(file, flow=flow, **widths, **switches)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    about = PUBLISHED.get(digest, "none of the published ones")
    SemanticLensPipeline(lens, network, CLIP_LENGTH, CLIP_OVERLAP).save_pretrained(output_dir)
    modules = ", ".join(name for name in (*MODULES, *ADDITIONS) if lens.config[name]) or "none"
    notice = NOTICE.format(about=about, digest=digest, flow=FLOW_NOTICE[flow])
    (output_dir / "NOTICE").write_text(notice, encoding="utf-8")
    card = CARD.format(name=output_dir.name, about=about, modules=modules)
    (output_dir / "README.md").write_text(card, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="the checkpoint")
    parser.add_argument("--output_dir", type=Path, required=True, help="a new folder")
    parser.add_argument(
        "--distiller",
        default="semantic-lens-tiny",
        help="whose Semantic Distiller gives the semantics: a shipped name, or the folder of one or of a pipeline",
    )
    parser.add_argument("--without", nargs="*", choices=MODULES, default=[], help="modules to leave out")
    parser.add_argument(
        "--with", nargs="*", choices=ADDITIONS, default=[], dest="additions", help="what else to add to BasicVSR"
    )
    parser.add_argument("--flow", choices=tuple(FLOW_NOTICE), default="spynet", help="how the optical flow is found")
    args = parser.parse_args(argv)
    convert(args.file, args.output_dir, args.distiller, args.without, args.additions, args.flow)


if __name__ == "__main__":
    with one_line_errors():
        main()
