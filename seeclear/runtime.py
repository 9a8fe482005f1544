# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What to compute on, and in which number format."""

from __future__ import annotations

import contextlib
import ctypes

import torch

# of glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_LARGE = 2**25
"""Bytes; the largest threshold that glibc takes."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device(name: str | None = None) -> torch.device:
    """The device of that name; without one, the first CUDA device if there is one, else Apple's MPS, else the CPU.

    Raises:
        ValueError: no device has that name, or this machine does not have it.
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # torch raises AssertionError for a back-end that it was not built with
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"`device` must be one that this machine has, such as cpu, cuda or mps, but was {name!r}."
        ) from error
    return device


def choose_dtype(device: torch.device | str) -> tuple[torch.dtype, str]:
    """bfloat16 where the processor multiplies it fast, else float32.

    Fast are CUDA devices of compute capability 8.0 and above, and CPUs with the AMX or the AVX-512 BF16 instructions;
    other CPUs emulate bfloat16, which is slower than float32 by an order of magnitude.

    Returns:
        (dtype, the reason in a few words).
    """
    device = torch.device(device)
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        if major >= 8:
            return torch.bfloat16, f"compute capability {major}.{minor} has fast bf16"
        return torch.float32, f"compute capability {major}.{minor} has no fast bf16"
    if device.type == "cpu":
        for instructions, check in (("AMX", "_is_amx_tile_supported"), ("AVX-512 BF16", "_is_avx512_bf16_supported")):
            supported = getattr(torch.cpu, check, None)  # not every torch has these
            if supported is not None and supported():
                return torch.bfloat16, f"the CPU has {instructions}"
        return torch.float32, "the CPU has neither AMX nor AVX-512 BF16"
    return torch.float32, f"fast bf16 is not certain on {device.type}"


def parse_dtype(name: str, device: torch.device) -> tuple[torch.dtype, str]:
    """The dtype of that name ("fp32", "bf16", "fp16") or, for "auto", what `choose_dtype` says; with the reason."""
    if name == "auto":
        return choose_dtype(device)
    if name not in DTYPES:
        raise ValueError(f"`dtype` must be one of auto, {', '.join(DTYPES)}, but was {name!r}.")
    return DTYPES[name], "as asked"


def keep_freed_memory(large: bool = True) -> bool:
    """Tells glibc to keep freed memory for the next tensor instead of handing it back to the system.

    Args:
        large: also what tensors of 32 MB and more held. Where frames are so large that they are restored in tiles, the
            pieces between what is kept do not fit the next frames: with 1920x1080 to 7680x4320 in 6 GB that took 0.9
            GB more.

    On the CPU every layer makes and frees tensors of some tens of megabytes. By default each of them is mapped afresh,
    and every page of it faults in once more; `benchmarks/allocator.py` measures what that costs. It affects the whole
    process: programs call it, libraries do not. `upscale_video` and the training script do.

    Returns:
        Whether the C library is glibc and took the settings.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = [(_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1)]
    if not large:
        settings = [(_M_MMAP_THRESHOLD, _LARGE), (_M_MMAP_MAX, 2**16), (_M_TRIM_THRESHOLD, 2 * _LARGE)]
    return all(mallopt(parameter, value) for parameter, value in settings)


def give_back_memory() -> None:
    """Hands the memory that is free back to the system, where the C library is glibc; `keep_freed_memory` undone for
    once. The pages fault in again when they are needed: for long runs between two that need much.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
