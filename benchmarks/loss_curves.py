# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Draws the curves of training runs: the loss of every `train_log.jsonl`, the gain of every `validation_log.jsonl`.

    python benchmarks/loss_curves.py run1/train_log.jsonl run2/train_log.jsonl run1/validation_log.jsonl OUT.svg
    python benchmarks/loss_curves.py --x seconds --labels first second -- a/train_log.jsonl b/train_log.jsonl OUT.svg

One panel for losses and one for validation, with the same runs in the same colours: a run is the folder of its logs.
The loss of a logged step is of a few batches and noisy: it is drawn thin, and its running mean over `--smooth` of the
run on top. Validation shows PSNR over bicubic for each number of denoising steps. The picture is SVG text, written
without any library.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 860, 260, 70, 20, 40, 60
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
DASHES = ("", "6 3", "2 3", "8 3 2 3")

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """A line of a panel: what the legend calls it, its points, and how it is drawn."""

    label: str
    points: Points
    colour: str
    dash: str = ""
    width: float = 1.6
    opacity: float = 1.0


def read_log(path: Path) -> list[dict[str, float]]:
    """The lines of a log, of which an interrupted run may have left the last one torn.

    Raises:
        ValueError: there is no such file, or it has no line with a step.
    """
    if not path.is_file():
        raise ValueError(f"there is no file {str(path)!r}")
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    if not any("step" in line for line in lines):
        raise ValueError(f"{str(path)!r} has no line with a step")
    return lines


def loss_of(line: dict[str, float]) -> float:
    """The loss; of a log that has several, as the distiller's, their sum."""
    if "loss" in line:
        return line["loss"]
    return sum(value for name, value in line.items() if name not in ("step", "lr", "seconds"))


def running_mean(points: Points, window: int) -> Points:
    """The mean of each point and the `window - 1` before it, as far as there are any."""
    means = []
    for i, (x, _) in enumerate(points):
        values = [y for _, y in points[max(0, i + 1 - window) : i + 1]]
        means.append((x, sum(values) / len(values)))
    return means


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers, about `count`, inside an interval."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def panel(
    title: str, x_title: str, curves: Sequence[Curve], x_range: tuple[float, float], top: int, log_scale: bool = False
) -> list[str]:
    """The SVG elements of one panel that begins at `top`."""
    ys = [math.log10(y) if log_scale else y for curve in curves for _, y in curve.points]
    (x_low, x_high), y_low, y_high = x_range, min(ys), max(ys)
    margin = 0.05 * (y_high - y_low) or abs(y_low) * 0.05 or 1.0
    y_low, y_high = y_low - margin, y_high + margin
    x_high = x_high if x_high > x_low else x_low + 1
    inner = WIDTH - LEFT - RIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        y = math.log10(y) if log_scale else y
        return LEFT + inner * (x - x_low) / (x_high - x_low), top + PANEL * (y_high - y) / (y_high - y_low)

    parts = [f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{escape(title)}</text>']
    for value in ticks(x_low, x_high, 8):
        x, _ = place(value, 1.0)
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + PANEL}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{top + PANEL + 16}" text-anchor="middle">{value:g}</text>')
    for value in ticks(y_low, y_high):
        shown = 10**value if log_scale else value
        _, y = place(x_low, shown)
        parts.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{shown:.3g}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{top + PANEL + 32}" text-anchor="end">{escape(x_title)}</text>')
    for curve in curves:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in curve.points))
        style = f'stroke="{curve.colour}" stroke-width="{curve.width}" stroke-opacity="{curve.opacity}"'
        dash = f' stroke-dasharray="{curve.dash}"' if curve.dash else ""
        parts.append(f'<polyline points="{points}" fill="none" {style}{dash}/>')
    labelled = [curve for curve in curves if curve.label]
    for i, curve in enumerate(labelled):
        y = top + 16 + 16 * i
        dash = f' stroke-dasharray="{curve.dash}"' if curve.dash else ""
        x = WIDTH - RIGHT - 230
        parts.append(
            f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" y2="{y - 4}" stroke="{curve.colour}" stroke-width="2"{dash}/>'
        )
        parts.append(f'<text x="{x + 30}" y="{y}">{escape(curve.label)}</text>')
    parts.append(f'<rect x="{LEFT}" y="{top}" width="{inner}" height="{PANEL}" class="frame"/>')
    return parts


def draw(
    logs: Sequence[Path],
    labels: Sequence[str] = (),
    x_name: str = "step",
    smooth: float = 0.1,
    log_scale: bool = False,
) -> str:
    """The picture of some logs as SVG.

    Args:
        logs: `train_log.jsonl` or `validation_log.jsonl` of runs; what a file is, its lines tell.
        labels: names of the runs, in the order in which their folders first appear; the folders' names unless given.
        x_name: "step", or "seconds" (of training, over all interruptions) for logs that have them.
        smooth: the part of a run over which the running mean goes.
        log_scale: of the losses.

    Raises:
        ValueError: a log cannot be used, or there are not as many labels as runs.
    """
    runs = list(dict.fromkeys(path.resolve().parent for path in logs))
    if labels and len(labels) != len(runs):
        raise ValueError(f"there are {len(runs)} runs, but {len(labels)} labels")
    names = list(labels) or [run.name for run in runs]
    read = {path: read_log(path) for path in logs}
    clock = {
        (path.resolve().parent, line["step"]): line["seconds"]
        for path, lines in read.items()
        for line in lines
        if "seconds" in line
    }

    def x_of(run: Path, line: dict[str, float]) -> float:
        if x_name == "step":
            return line["step"]
        known = [(step, seconds) for (owner, step), seconds in clock.items() if owner == run and step <= line["step"]]
        if not known:
            raise ValueError(f"the logs of {str(run)!r} have no seconds for step {line['step']}")
        return max(known)[1] / 60

    losses, gains = [], []
    for path, lines in read.items():
        run = path.resolve().parent
        colour, name = COLOURS[runs.index(run) % len(COLOURS)], names[runs.index(run)]
        kinds = sorted({key for line in lines for key in line if key.startswith("gain_")})
        for kind, dash in zip(kinds, DASHES * len(kinds), strict=False):
            points = [(x_of(run, line), line[kind]) for line in lines if kind in line]
            number = kind.removeprefix("gain_").removesuffix("_steps")
            gains.append(Curve(f"{name}, {number} step{'' if number == '1' else 's'}", points, colour, dash))
        if not kinds:
            points = [(x_of(run, line), loss_of(line)) for line in lines]
            losses.append(Curve("", points, colour, width=0.7, opacity=0.35))
            losses.append(Curve(name, running_mean(points, max(1, round(smooth * len(points)))), colour))

    x_title = "step" if x_name == "step" else "minutes of training"
    panels = []
    if losses:
        panels.append(("training loss", losses, log_scale))
    if gains:
        panels.append(("validation: PSNR-Y over bicubic, dB", gains, False))
    xs = [x for curve in losses + gains for x, _ in curve.points]
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        "<style>.grid{stroke:#ddd;stroke-width:1}.frame{fill:none;stroke:#888;stroke-width:1}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    for i, (title, curves, scaled) in enumerate(panels):
        parts += panel(title, x_title, curves, (min(xs), max(xs)), TOP + i * (PANEL + GAP), scaled)
    return "\n".join([*parts, "</svg>"]) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Draws, and writes the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("logs", nargs="+", type=Path, help="logs of runs")
    parser.add_argument("picture", type=Path, help="the SVG to write")
    parser.add_argument("--labels", nargs="*", default=[], help="names of the runs; put -- behind them")
    parser.add_argument("--x", choices=("step", "seconds"), default="step", help="what the curves are drawn over")
    parser.add_argument("--smooth", type=float, default=0.1, help="part of a run that the running mean goes over")
    parser.add_argument("--log-scale", action="store_true", help="of the losses")
    args = parser.parse_args(argv)
    if args.picture.suffix != ".svg":
        parser.error(f"the picture is {str(args.picture)!r}; its name must end with .svg")
    try:
        picture = draw(args.logs, args.labels, args.x, args.smooth, args.log_scale)
    except ValueError as error:
        parser.error(str(error))
    args.picture.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
