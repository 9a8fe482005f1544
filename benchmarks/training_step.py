# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Where the time of a training step goes on the CPU, or that of an inference step: on random data, without loading it.

    python benchmarks/training_step.py --model tiny --height 128 --width 128 --frames 5 --clips 4 --threads 1
    python benchmarks/training_step.py --model tiny --inference --height 736 --width 1280 --clips 1

A training step is what the training loop does with a batch: forward, Charbonnier loss, backward, clipping, AdamW,
moving average; the semantics are known, as where a frozen distiller's are cached. An inference step is one denoising
step of SeeClear, or Semantic Lens as a whole. Seconds are those of the processor (all threads), medians over the steps
measured without the profiler, so what else runs matters little. Shares are of the operators' own times under
torch.profiler, the smallest of each operator over the profiled steps. What counts as what, by the operator's name:

* convolutions: forward and backward in oneDNN or in PyTorch itself (`CONVOLUTIONS`);
* matrix products: linear layers, batched products, forward and backward (`MATRIX_PRODUCTS`);
* fused attention: products of queries, keys and values with the softmax between them (`ATTENTION`);
* the rest by kind (`REST`); what no list names, views and the profiler's own cost among it, is "other".
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.profiler import profile

from seeclear.models import LENS_PRESETS, PRESETS
from seeclear.pipelines.presets import build_components, build_lens_components
from seeclear.runtime import keep_freed_memory
from seeclear.shipped import SCALE
from seeclear.training.arguments import build_parser
from seeclear.training.loop import TrainingLoop
from seeclear.training.losses import charbonnier_loss
from seeclear.training.model import STAGES, TrainingModel
from seeclear.training.semantics import CELL

CONVOLUTIONS = ("convolution", "conv2d", "conv_depthwise", "thnn_conv")
MATRIX_PRODUCTS = ("mm", "bmm", "baddbmm", "addmm", "addbmm", "mv", "addmv", "dot", "linear")
ATTENTION = ("scaled_dot_product",)
REST = {
    "copies": ("copy_", "cat", "stack", "fill_", "slice_backward", "index", "unfold_backward", "_pad2d", "pad_nd"),
    "norms": ("layer_norm", "batch_norm", "group_norm", "vector_norm"),
    "activations": ("silu", "relu", "gelu", "sigmoid", "softmax", "threshold", "hardtanh"),
    "optimiser and average": ("_fused_", "_foreach_", "lerp_", "addcdiv_", "Optimizer.step"),
    "sums and products": ("add", "sub", "mul", "div", "sum", "mean", "sqrt", "rsqrt", "neg", "square", "pow", "clamp"),
    "resizing": ("upsample", "avg_pool", "interpolate"),
}
PRODUCTS = ("convolutions", "matrix products", "fused attention")


def kind_of(operator: str) -> str:
    """The kind of an operator of the profiler's, such as `aten::addmm`."""
    name = operator.removeprefix("aten::")
    if any(part in name for part in CONVOLUTIONS):
        return "convolutions"
    if name in MATRIX_PRODUCTS:
        return "matrix products"
    if any(part in name for part in ATTENTION):
        return "fused attention"
    return next((kind for kind, parts in REST.items() if any(part in name for part in parts)), "other")


def build(args: argparse.Namespace) -> tuple[nn.Module, Callable[[nn.Module], tuple[Tensor, Tensor]]]:
    """The network and what calls it on random data: (prediction, target), each (clips, frames, 3, height, width)."""
    clip = (args.clips, args.frames)
    low, coarse = ((args.height // n, args.width // n) for n in (SCALE, SCALE * CELL))
    target, lr = torch.rand(*clip, 3, args.height, args.width), torch.rand(*clip, 3, *low)
    if args.model in LENS_PRESETS:
        lens = build_lens_components(args.model)["semantic_lens"]
        tokens, features = lens.config.semantic_token_dim, lens.config.semantic_feature_dim
        semantics = {
            "features": torch.randn(*clip, features, *coarse),
            "clip_tokens": torch.randn(args.clips, 16, tokens),
            "clip_masks": torch.randn(*clip, 16, *coarse),
        }
        return lens, lambda network: (network(lr, **semantics, return_dict=False)[0], target)

    components = build_components(args.model)
    condenser, distiller = components["pixel_condenser"], components["semantic_distiller"]
    tokens = torch.randn(*clip, condenser.config.num_clip_tokens, condenser.config.semantic_token_dim)
    features = torch.randn(*clip, condenser.config.semantic_feature_dim, *coarse)
    state, y, timestep = torch.randn_like(target), torch.rand_like(target), torch.full((args.clips,), 14)
    if args.inference:
        clip_tokens = tokens[:, 0]
        return condenser, lambda network: (
            network(state, timestep, y, tokens, features, clip_tokens, return_dict=False)[0],
            target,
        )
    model = TrainingModel(condenser, distiller, args.stage)
    model.skip_silent_memory()
    state, y, lr, target, tokens, features = (
        torch.cat([x] * model.num_clips, dim=1) for x in (state, y, lr, target, tokens, features)
    )
    return model, lambda network: (network(state, timestep, y, lr, tokens, features), target)


class Steps:
    """Times the first steps after one that warms up, and profiles as many more; a step lasts from `begin` to `begin`.

    Attributes:
        seconds: of the processor, of every timed step.
        operators: for every profiled step, milliseconds of each operator.
    """

    def __init__(self, count: int) -> None:
        self.count, self.begun = count, 0
        self.seconds: list[float] = []
        self.operators: list[dict[str, float]] = []
        self._started = 0.0
        self._profile: profile | None = None

    @property
    def total(self) -> int:
        """How often to call `begin`: the last call ends the last step."""
        return 2 * self.count + 2

    def begin(self) -> None:
        """The step before ends and the next one begins."""
        if 1 < self.begun <= self.count + 1:
            self.seconds.append(time.process_time() - self._started)
        if self._profile is not None:
            self._profile.stop()
            self.operators.append({e.key: e.self_cpu_time_total / 1000 for e in self._profile.key_averages()})
            self._profile = None
        self.begun += 1
        if self.count + 1 < self.begun < self.total:
            self._profile = profile()
            self._profile.start()
        self._started = time.process_time()

    def milliseconds(self) -> dict[str, float]:
        """Of every kind of operator, the sum of its operators' smallest times."""
        kinds: dict[str, float] = {}
        for operator in set().union(*self.operators):
            smallest = min(step.get(operator, 0.0) for step in self.operators)
            kinds[kind_of(operator)] = kinds.get(kind_of(operator), 0.0) + smallest
        return kinds


class RandomTraining(TrainingLoop):
    """The training loop on the same random batch again and again; nothing is validated or exported."""

    finished_pipeline = validation_upscaler = save_card = None

    def __init__(self, model: nn.Module, call: Callable[[nn.Module], tuple[Tensor, Tensor]], steps: Steps) -> None:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--output_dir", folder, "--channels_last", "--use_ema", "--max_train_steps", str(steps.total)]
            super().__init__(build_parser().parse_args(options), Accelerator(cpu=True))
            self.call, self.steps = call, steps
            self.prepare(model)
            self.train()

    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        self.steps.begin()
        return charbonnier_loss(*self.call(self.wrapped))

    def _dataloader(self) -> Iterator[dict[str, Tensor]]:
        return itertools.repeat({})

    def finish(self) -> None:
        return None


def report(steps: Steps, args: argparse.Namespace) -> None:
    """Prints the shares and the speed."""
    kinds = steps.milliseconds()
    total = sum(kinds.values())
    print("| kind of operator | ms a step | share |")
    print("|---|---|---|")
    for kind, milliseconds in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"| {kind} | {milliseconds:.0f} | {milliseconds / total:.1%} |")
    within = sum(kinds.get(kind, 0.0) for kind in PRODUCTS)
    plain = sum(kinds.get(kind, 0.0) for kind in PRODUCTS[:2])
    print(f"\noutside convolutions, matrix products and attention: {1 - within / total:.1%}")
    print(f"outside convolutions and matrix products: {1 - plain / total:.1%}")
    seconds = statistics.median(steps.seconds)
    if args.inference:
        print(f"{seconds / (args.clips * args.frames):.3f} s of the processor a frame")
    else:
        print(f"{seconds:.3f} s of the processor a step, {args.clips / seconds:.2f} clips a second")


def main() -> None:
    """Runs the steps and prints where their time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=[*PRESETS, *LENS_PRESETS], default="tiny", help="a preset")
    parser.add_argument("--stage", choices=STAGES, default="condenser", help="of SeeClear's training")
    parser.add_argument("--inference", action="store_true", help="an inference step instead of a training step")
    parser.add_argument("--height", type=int, default=128, help="of the high-resolution frames, a multiple of 32")
    parser.add_argument("--width", type=int, default=128, help="of the high-resolution frames, a multiple of 32")
    parser.add_argument("--frames", type=int, default=5, help="in a clip")
    parser.add_argument("--clips", type=int, default=4, help="in a batch")
    parser.add_argument("--steps", type=int, default=5, help="how many are timed, and how many profiled")
    parser.add_argument("--threads", type=int, help="of the processor; all cores unless given")
    args = parser.parse_args()
    keep_freed_memory()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, call = build(args)
    steps = Steps(args.steps)
    if args.inference:
        model.to(memory_format=torch.channels_last).eval()
        with torch.no_grad():
            for _ in range(steps.total - 1):
                steps.begin()
                call(model)
        steps.begin()
    else:
        RandomTraining(model, call, steps)
    report(steps, args)


if __name__ == "__main__":
    main()
