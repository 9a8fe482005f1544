# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Runs a script as accelerate does on several GPUs with FSDP, on CPUs: `fsdp_runner.py SCRIPT ...` in each process.

accelerate offers FSDP where there are accelerators only, torch's has no such limit: accelerate is told that these
processes have one each. Weights, gradients and optimiser states are shared out by torch as on GPUs, over gloo.
"""

import os
import runpy
import sys

from accelerate.state import PartialState
from accelerate.utils import DistributedType

os.environ["ACCELERATE_USE_CPU"] = "true"
os.environ["ACCELERATE_USE_FSDP"] = "true"
os.environ.setdefault("FSDP_VERSION", "2")
os.environ["FSDP_AUTO_WRAP_POLICY"] = "NO_WRAP"
os.environ["FSDP_STATE_DICT_TYPE"] = "FULL_STATE_DICT"

_start = PartialState.__init__


def _start_with_accelerators(self: PartialState, *args: object, **kwargs: object) -> None:
    _start(self, *args, **kwargs)
    if self.distributed_type == DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


if __name__ == "__main__":
    PartialState.__init__ = _start_with_accelerators  # type: ignore[method-assign]
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
