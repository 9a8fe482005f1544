# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Short trainings that differ in one thing each, for the same number of minutes, and what each of them reaches.

    OMP_NUM_THREADS=1 python benchmarks/paired_runs.py benchmarks/paired_runs.json --minutes 10 --data_root DATA \
        --clips CLIPS --frames 5 --perceptual_weights WEIGHTS --output_dir runs

The JSON file has `arguments` of examples/train_seeclear.py for all runs, and `arms`: the name of each, with the
`condenser`'s configuration and the `arguments` that differ. With `"script": "train_semantic_lens.py"` Semantic Lens is
trained, and `lens` is its configuration. Each arm is first timed over 40 steps; so many steps as fit into the minutes
make its run, whose learning rate goes down to its end; an arm with `max_train_steps` among its arguments makes so
many. All else, the seed among it, is the same.
An arm that is there already is not trained again. CLIPS are what `seeclear evaluate` takes.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from seeclear import PixelCondenser, SemanticLens

EXAMPLES = Path(__file__).parent.parent / "examples"
TIMED_STEPS = 40


class Trained(NamedTuple):
    """What a script trains: its name in plans and arguments, its folder in a pipeline, and its class."""

    name: str
    folder: str
    kind: type[PixelCondenser] | type[SemanticLens]


SCRIPTS = {
    "train_seeclear.py": Trained("condenser", "pixel_condenser", PixelCondenser),
    "train_semantic_lens.py": Trained("lens", "semantic_lens", SemanticLens),
}


def trained_by(plan: Mapping[str, Any]) -> tuple[str, Trained]:
    """The script of a plan, and what it trains.

    Raises:
        ValueError: no such script.
    """
    script = plan.get("script", "train_seeclear.py")
    if script not in SCRIPTS:
        raise ValueError(f"`script` is {script!r}; it may be one of {', '.join(SCRIPTS)}")
    return script, SCRIPTS[script]


def options(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments by name as a command line has them; a flag is true, and false is left out."""
    words: list[str] = []
    for name, value in arguments.items():
        if value is not False:
            values = value if isinstance(value, list) else [value]
            words += [f"--{name}", *([] if value is True else map(str, values))]
    return words


def seconds_per_step(log: Path) -> float:
    """The median of a run's steps: those in which frames are distilled for the first time take longer."""
    seconds = [json.loads(line)["seconds"] for line in log.read_text().splitlines()]
    return statistics.median(later - earlier for earlier, later in pairwise(seconds))


def run(command: Sequence[str], log: Path) -> None:
    """Runs a command, its output appended to `log`.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with log.open("a") as output:
        subprocess.run(command, check=True, stdout=output, stderr=output)


def train_arm(args: argparse.Namespace, plan: Mapping[str, Any], name: str) -> tuple[int, float]:
    """Trains an arm for `args.minutes`: its steps, and the seconds of one."""
    script, network = trained_by(plan)
    arm, folder = plan["arms"][name], args.output_dir / name
    configuration = args.output_dir / f"{name}.json"
    configuration.write_text(json.dumps(arm.get(network.name, {})), encoding="utf-8")
    given = {
        f"{network.name}_config": configuration,
        "data_root": args.data_root,
        "logging_steps": 1,
        "seed": args.seed,
    }
    if args.perceptual_weights is not None and network.name == "condenser":
        given["lpips_weights_path"] = args.perceptual_weights
    given |= plan["arguments"] | arm.get("arguments", {})

    def train(steps: int, where: Path) -> None:
        shutil.rmtree(where, ignore_errors=True)
        command = [
            sys.executable,
            str(EXAMPLES / script),
            *options({**given, "max_train_steps": steps, "output_dir": where}),
        ]
        run(command, args.output_dir / f"{name}.log")

    steps = given.get("max_train_steps")
    if steps is None:
        timing = args.output_dir / f"{name}-timing"
        train(TIMED_STEPS, timing)
        steps = max(1, int(60 * args.minutes / seconds_per_step(timing / "train_log.jsonl")))
        shutil.rmtree(timing)
    train(steps, folder)
    return steps, seconds_per_step(folder / "train_log.jsonl")


def measure_arm(args: argparse.Namespace, plan: Mapping[str, Any], name: str) -> dict[str, float]:
    """What `seeclear evaluate` says of an arm's restoration, SeeClear's in one step, and of bicubic."""
    found = args.output_dir / f"{name}-evaluation.json"
    metrics = ["psnr", "frame-difference"] + (["lpips-vgg"] if args.perceptual_weights is not None else [])
    chosen = {"model": args.output_dir / name, "frames": args.frames, "metrics": ",".join(metrics)}
    if trained_by(plan)[1].name == "condenser":
        chosen["steps"] = 1
    if args.perceptual_weights is not None:
        chosen |= {"perceptual-weights": args.perceptual_weights, "stride": 5}
    words = [*map(str, args.clips), *options({**chosen, "json": found})]
    run([sys.executable, "-m", "seeclear", "evaluate", *words], args.output_dir / f"{name}.log")
    bicubic, restored = json.loads(found.read_text())["mean"].values()
    figures = {"gain": restored["psnr"] - bicubic["psnr"], "frame-difference": restored["frame-difference"]}
    if "lpips-vgg" in restored:
        figures["lpips"] = restored["lpips-vgg"] / bicubic["lpips-vgg"]
    return figures


def table_row(name: str, result: Mapping[str, float]) -> str:
    """An arm as a row of Markdown: name, parameters, steps, seconds a step, gain, LPIPS, frame-difference error."""
    lpips = f"{result['lpips']:.3f}" if "lpips" in result else ""
    cells = (
        name,
        f"{result['parameters'] / 1e6:.2f}",
        str(result["steps"]),
        f"{result['seconds']:.2f}",
        f"{result['gain']:+.3f}",
        lpips,
        f"{result['frame-difference']:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path, help="JSON file with `arguments` and `arms`")
    parser.add_argument("--arms", nargs="*", help="names of those to run; all unless given")
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="of each training; in the first 5 of one core an untrained network learns nothing yet",
    )
    parser.add_argument("--data_root", type=Path, required=True, help="as examples/train_seeclear.py takes it")
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="clips to measure on")
    parser.add_argument("--frames", type=int, default=5, help="of each clip")
    parser.add_argument("--perceptual_weights", type=Path, help="weights of LPIPS, to measure it and to train with it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output_dir", type=Path, required=True)
    args = parser.parse_args(argv)
    plan = json.loads(args.plan.read_text(encoding="utf-8"))
    names = args.arms or list(plan["arms"])
    try:
        trained_by(plan)
    except ValueError as error:
        parser.error(str(error))
    unknown = sorted(set(names) - set(plan["arms"]))
    if unknown:
        parser.error(f"--arms has {', '.join(unknown)}; {args.plan} has {', '.join(plan['arms'])}")
    args.output_dir.mkdir(parents=True, exist_ok=True)

    print("| arm | parameters, M | steps | seconds a step | gain, dB | LPIPS, of bicubic's | frame-difference error |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in names:
        record = args.output_dir / f"{name}-result.json"
        if not record.exists():
            steps, seconds = train_arm(args, plan, name)
            network = trained_by(plan)[1]
            parameters = network.kind.from_pretrained(args.output_dir / name / network.folder).num_parameters()
            figures = measure_arm(args, plan, name)
            result = {"parameters": parameters, "steps": steps, "seconds": seconds, **figures}
            record.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(table_row(name, json.loads(record.read_text())), flush=True)


if __name__ == "__main__":
    main()
