# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What compression and sensors leave in the pixels of a video: grids of blocks, and noise.

All measures take luma (F, H, W) in grey levels, 0 to 255, of any frames of one video.
docs/experiments/video-quality.md has what they give for which videos.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from seeclear.video.scenes import LUMA

BLOCK = 8
"""Pixels a side of the blocks of JPEG and MPEG; the larger ones of later codecs are multiples of it."""
WEAK = 12.0
"""Grey levels up to which kinks count as the edges of blocks in what is smooth: so some strong edges are not more
than many weak blocks."""
STRONG = (20.0, 80.0)
"""Grey levels between which kinks count as edges that a deblocking filter takes for those of objects."""
SIGNIFICANT = 8.0
"""Power at the frequencies of a grid over that beside them, from which on there is one; by chance it is 1."""
LEAST_SIDE = 64
"""Pixels of a profile in which the frequencies of a grid can be told from those beside them."""
_BESIDE, _APART = 12, 3
"""How far the frequencies beside one reach, and how far from it they begin, in steps of the spectrum."""
_NO_EDGES = 0.1
"""Grey levels of strong kinks in the mean that are as good as none."""

FLATTEST = 0.02
"""Share of the blocks in which noise is looked for."""
_FEWEST_BLOCKS = 32
LONGEST_SIDE = 960
"""Pixels of the middle of a frame that are looked at, along each side."""
WHITE = 0.5
"""Amplitude of the finest waves of noise over that of the coarse ones, at least; white noise has 1 or, in blocks
chosen for their flatness, more, and texture less."""
STILLEST = 0.03
"""Share of the blocks in which new noise is looked for."""
_CLIPPED = 4.0
"""Grey levels from black and white within which noise is cut off."""


def middle(picture: np.ndarray) -> np.ndarray:
    """The middle of (H, W, ...), `LONGEST_SIDE` at most along each side."""
    top, left = (max(0, side - LONGEST_SIDE) // 2 for side in picture.shape[:2])
    return picture[top : top + LONGEST_SIDE, left : left + LONGEST_SIDE]


def grey_levels(rgb: np.ndarray) -> np.ndarray:
    """The luma (H, W) in grey levels of the middle of a picture (H, W, 3), float32 in [0, 1]."""
    return middle(rgb) @ (255 * np.array(LUMA, np.float32))


def block_grids(luma: np.ndarray) -> tuple[float, float]:
    """Strength of two grids of blocks, wherever they begin: each 0 where there is none that can be told from chance.

    The kinks of each row, |a - 3b + 3c - d| of four pixels side by side (0 on any parabola), averaged over rows and
    frames, are a profile with a value for each column. A grid gives it a period: its power at whole numbers of waves
    in a block is compared with that at frequencies beside them, which is what texture has there, too. The same goes
    for columns. Since only powers are compared, it does not matter where the grid begins; and edges that a filter has
    made smoother than what is between them count as well.

    Args:
        luma: (F, H, W) in grey levels; sides below `LEAST_SIDE` are left out.

    Returns:
        (weak, strong). Weak: the amplitude in grey levels, 0 to about 3, of kinks up to `WEAK` with a period of 8:
        blocks that show where the picture is smooth. Strong: the amplitude of kinks between those of `STRONG` with a
        period of 4 as a share of their mean, 0 to about 1: at the edges of objects, which deblocking leaves alone,
        what was made of blocks of 4x4 still lies on their grid.
    """
    weak, strong, mean = [], [], []
    for rows in (luma, luma.swapaxes(1, 2)):
        if rows.shape[2] < LEAST_SIDE:
            continue
        a, b, c, d = (rows[..., k : rows.shape[2] - 3 + k] for k in range(4))
        kinks = np.abs(a - d + 3 * (c - b))
        weak.append(_grid_power(np.minimum(kinks, WEAK).mean(axis=(0, 1)), BLOCK, (1, 2, 3)))
        edges = (np.clip(kinks, *STRONG) - STRONG[0]).mean(axis=(0, 1))
        strong.append(_grid_power(edges, BLOCK // 2, (1,)))
        mean.append(edges.mean())
    if not weak:
        return 0.0, 0.0
    return _amplitude(weak), _amplitude(strong) / (float(np.mean(mean)) + _NO_EDGES)


def _grid_power(profile: np.ndarray, period: int, harmonics: tuple[int, ...]) -> tuple[float, float]:
    """(squared amplitude, mean power over that beside it) of a profile at some numbers of waves in a period."""
    length = len(profile) // period * period
    window = np.hanning(length)
    waves = np.fft.rfft((profile[:length] - profile[:length].mean()) * window) * (2 / window.sum())
    power = np.abs(waves) ** 2
    squared, ratios = 0.0, []
    for harmonic in harmonics:
        place = length * harmonic // period
        beside = [power[max(2, place - _BESIDE) : place - _APART + 1], power[place + _APART : place + _BESIDE + 1]]
        chance = np.median(np.concatenate(beside)) / np.log(2)  # the mean, of an exponential distribution
        squared += power[place] - chance
        ratios.append(power[place] / max(chance, 1e-12))
    return squared, float(np.mean(ratios))


def _amplitude(grids: list[tuple[float, float]]) -> float:
    """Of both directions together; 0 for what may be chance."""
    squared, ratio = np.mean(grids, axis=0)
    return float(np.sqrt(max(0.0, squared))) if ratio >= SIGNIFICANT else 0.0


def noise_level(luma: np.ndarray) -> float:
    """Standard deviation of white noise: 0 where the flattest parts hold texture instead, or nothing.

    The flattest blocks of 8x8 are those with the least power in the coarse waves of their DCT; there noise shows alone
    in the finest ones. Texture is told from it by being weaker in fine waves than in coarse ones.

    Args:
        luma: (F, H, W) in grey levels. Blocks in which black or white is cut off are left out.

    Returns:
        Grey levels; a little high where even the flattest parts have fine texture.
    """
    blocks = _blocks(luma)
    blocks = blocks[(blocks.min(axis=(1, 2)) > _CLIPPED) & (blocks.max(axis=(1, 2)) < 255 - _CLIPPED)]
    if len(blocks) < _FEWEST_BLOCKS:
        return 0.0
    power = (_dct() @ blocks @ _dct().T) ** 2
    waves = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    coarse = power[:, (waves >= 2) & (waves <= 5)].mean(axis=1)
    flattest = np.argsort(coarse)[: max(_FEWEST_BLOCKS, round(FLATTEST * len(coarse)))]
    fine = power[flattest][:, waves >= 8].mean()
    return float(np.sqrt(fine)) if fine > WHITE**2 * coarse[flattest].mean() else 0.0


def fresh_noise_level(before: np.ndarray, after: np.ndarray) -> float:
    """Standard deviation of what is new in each of two frames where they differ least, white or not.

    There still parts of the picture cancel, and noise does not. Blocks of 8x8 of the difference are chosen by one half
    of the waves of their DCT and measured by the other, so that the choice does not lower what is found.

    Args:
        before, after: successive frames, luma (H, W) in grey levels. Blocks in which black or white is cut off are
            left out.

    Returns:
        Grey levels; too low where the noise has coarse waves, which a block does not hold, too high where texture
        moves everywhere, and 0 where a frame is repeated or a codec repeats its noise.
    """
    blocks = np.stack([_blocks(before[None]), _blocks(after[None])])
    kept = (blocks.min(axis=(0, 2, 3)) > _CLIPPED) & (blocks.max(axis=(0, 2, 3)) < 255 - _CLIPPED)
    difference = (blocks[1, kept] - blocks[0, kept]) / np.float32(np.sqrt(2))
    if not len(difference):
        return 0.0
    power = (_dct() @ difference @ _dct().T) ** 2
    waves = np.add.outer(np.arange(BLOCK), np.arange(BLOCK))
    even, odd = (power[:, (waves >= 2) & (waves % 2 == rest)].mean(axis=1) for rest in (0, 1))
    stillest = np.argsort(even)[: max(_FEWEST_BLOCKS, round(STILLEST * len(even)))]
    return float(np.sqrt(odd[stillest].mean()))


def _blocks(luma: np.ndarray) -> np.ndarray:
    """(n, 8, 8): all whole blocks of (F, H, W), counted from the corner."""
    frames, height, width = luma.shape[0], luma.shape[1] // BLOCK, luma.shape[2] // BLOCK
    cut = luma[:, : height * BLOCK, : width * BLOCK]
    return cut.reshape(frames, height, BLOCK, width, BLOCK).swapaxes(2, 3).reshape(-1, BLOCK, BLOCK)


@lru_cache(maxsize=1)
def _dct() -> np.ndarray:
    """The matrix (8, 8) of the DCT-II that keeps lengths; a row for each wave."""
    wave, x = np.mgrid[:BLOCK, :BLOCK]
    matrix = np.cos(np.pi * (2 * x + 1) * wave / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)
