# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What `seeclear.runtime.keep_freed_memory` saves: condensing one clip on the CPU, with and without it, in turn.

python benchmarks/allocator.py --height 96 --width 160 --repeats 3
"""

import argparse
import subprocess
import sys
import time


def condense(height: int, width: int, keep: bool) -> None:
    """Prints the seconds that one step on a clip of 5 frames takes, after one that is not counted."""
    import torch

    from seeclear.pipelines.presets import build_components
    from seeclear.runtime import keep_freed_memory

    if keep and not keep_freed_memory():
        sys.exit("this C library does not take the settings")
    condenser = build_components("tiny")["pixel_condenser"].to(memory_format=torch.channels_last).eval()
    frames = torch.zeros(1, 5, 3, 4 * height, 4 * width)
    tokens, features = torch.zeros(1, 5, 16, 64), torch.zeros(1, 5, 64, height // 2, width // 2)
    with torch.no_grad():
        for counted in (False, True):
            start = time.perf_counter()
            condenser(frames, 14, frames, tokens, features)
            if counted:
                print(time.perf_counter() - start)


def main() -> None:
    """Runs the two in turn, each in its own process, and prints seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=96, help="of the low-resolution frames, a multiple of 8")
    parser.add_argument("--width", type=int, default=160, help="of the low-resolution frames, a multiple of 8")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--condense", choices=("keep", "default"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.condense is not None:
        condense(args.height, args.width, args.condense == "keep")
        return
    size = ["--height", str(args.height), "--width", str(args.width)]
    print("| default, s | memory kept, s | ratio |")
    print("|---|---|---|")
    for _ in range(args.repeats):
        seconds = [
            float(subprocess.check_output([sys.executable, __file__, *size, "--condense", how], text=True))
            for how in ("default", "keep")
        ]
        print(f"| {seconds[0]:.2f} | {seconds[1]:.2f} | {seconds[1] / seconds[0]:.2f} |")


if __name__ == "__main__":
    main()
