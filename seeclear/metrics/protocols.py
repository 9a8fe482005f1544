# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What published figures are computed on: which channel, and how much of the border is left out."""

from dataclasses import dataclass

from .fidelity import Channel


@dataclass(frozen=True)
class EvaluationProtocol:
    """How PSNR and SSIM are taken. The mean over the frames of a clip, then over the clips, is that of all protocols.

    All figures are of 8-bit frames. LPIPS and DISTS compare whole RGB frames in every protocol.
    """

    name: str
    channel: Channel
    """"y" is the luma of BT.601 in studio range, 16 to 235, not rounded."""
    crop_border: int
    """Pixels left out at each side."""
    description: str


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        EvaluationProtocol(
            "vid4",
            "y",
            0,
            "Vid4 as EDVR, BasicVSR and SeeClear report it: luma, whole frames, every frame. (DUF and its followers "
            "left out 8 pixels at each side and the first and last two frames: their figures do not compare.)",
        ),
        EvaluationProtocol(
            "reds4",
            "rgb",
            0,
            "REDS4 (clips 000, 011, 015 and 020 of REDS' training clips) as EDVR, BasicVSR and SeeClear report it: "
            "RGB, whole frames, every frame.",
        ),
        EvaluationProtocol("y", "y", 0, "Luma, whole frames."),
        EvaluationProtocol("rgb", "rgb", 0, "RGB, whole frames."),
    )
}


def get_protocol(name: str) -> EvaluationProtocol:
    """The protocol of that name; ValueError lists them."""
    if name not in PROTOCOLS:
        raise ValueError(f"`protocol` must be one of {list(PROTOCOLS)}, but is {name!r}.")
    return PROTOCOLS[name]
