# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
import platform
import resource
import subprocess
import sys

import pytest

from seeclear import runtime

COUNT_FAULTS = """
import resource, sys, torch
from seeclear.runtime import keep_freed_memory

kept = keep_freed_memory() if sys.argv[1] == "keep" else False
sizes = [2**24, 2**23, 3 * 2**22, 2**24]
for round in range(6):
    if round == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(size) for size in sizes]
    del tensors
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _count_faults(how: str) -> tuple[str, int]:
    """In a process of its own, since the setting is for the whole process."""
    kept, faults = subprocess.check_output([sys.executable, "-c", COUNT_FAULTS, how], text=True).split()
    return kept, int(faults)


def test_freed_memory_is_kept_with_glibc() -> None:
    kept, faults = _count_faults("keep")
    assert kept == str(platform.libc_ver()[0] == "glibc")
    if kept == "True":
        assert faults < _count_faults("default")[1] / 2


GIVE_BACK = """
import torch
from seeclear.runtime import give_back_memory, keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1])

keep_freed_memory()
tensor, last = torch.ones(2**25), torch.ones(2**20)
del tensor
before = resident()
give_back_memory()
print(before - resident())
"""


SMALL_ONLY = """
import torch
from seeclear.runtime import keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1])

keep_freed_memory()
keep_freed_memory(large=False)
tensor, last = torch.ones(2**25), torch.ones(2**20)
before = resident()
del tensor
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what they like")
def test_what_large_tensors_held_can_go_back_at_once() -> None:
    pages = int(subprocess.check_output([sys.executable, "-c", SMALL_ONLY], text=True))
    assert pages * resource.getpagesize() > 2**27 - 2**20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep what they like")
def test_kept_memory_is_given_back() -> None:
    pages = int(subprocess.check_output([sys.executable, "-c", GIVE_BACK], text=True))
    assert pages * resource.getpagesize() > 2**27 - 2**24  # the 128 MiB of a tensor that was freed, below another


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(runtime.ctypes, "CDLL", missing)
    assert runtime.keep_freed_memory() is False
    runtime.give_back_memory()
