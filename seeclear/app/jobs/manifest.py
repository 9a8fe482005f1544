# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""What decides the bytes of an output: the input, the settings, the weights and the versions of the libraries.

A job writes this down when it begins. Started again, it goes on only where nothing of it has changed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seeclear.app.models import ModelChoice
from seeclear.version import __version__
from seeclear.video.images import list_images

FORMAT = 2
# Libraries that the pixels or the bytes of the file depend on.
LIBRARIES = ("torch", "diffusers", "transformers", "av", "pillow")

# Of a file: its beginning, its end, and blocks at equal distances between them.
_NUM_BLOCKS = 64
_BLOCK = 1 << 16


def build_manifest(
    source: Mapping[str, Any], settings: Mapping[str, Any], weights: str, model: ModelChoice | None = None
) -> dict[str, Any]:
    """All that decides the output, as it is written to the job's folder.

    Args:
        source: of `identify`.
        settings: JSON-able, every setting that changes the output.
        weights: of `digest_weights`.
        model: what the weights are called and why they were chosen. It decides nothing: the same weights under another
            name, named or chosen, make the same output.
    """
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    manifest = {
        "format": FORMAT,
        "input": dict(source),
        "settings": dict(settings),
        "weights": weights,
        "model": None if model is None else asdict(model),
        "versions": {"seeclear": __version__, **versions},
    }
    return json.loads(json.dumps(manifest))  # as it is read back: lists, not tuples


def identify(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of sampled blocks of a file, or of all images in a folder with their names.

    Blocks of 64 KiB are taken at 64 places from the beginning to the end, so that a file of up to 4 MiB is read whole
    and one of any length in a moment. Where the file lies and when it was changed plays no part.
    """
    digest = hashlib.sha256()
    if not path.is_dir():
        size = _hash_file(digest, path, _NUM_BLOCKS)
        return {"kind": "file", "bytes": size, "sha256": digest.hexdigest()}
    names = list_images(path)
    size = 0
    for name in names:
        digest.update(f"\0{name}\0".encode("utf-8", "surrogateescape"))
        size += _hash_file(digest, path / name, 4)
    return {"kind": "folder", "files": len(names), "bytes": size, "sha256": digest.hexdigest()}


def _hash_file(digest: Any, path: Path, num_blocks: int) -> int:
    """Adds a file's size and sampled blocks to the digest; its size in bytes."""
    size = path.stat().st_size
    digest.update(f"{size}\0".encode())
    with path.open("rb") as file:
        if size <= num_blocks * _BLOCK:
            digest.update(file.read())
        else:
            for index in range(num_blocks):
                file.seek((size - _BLOCK) * index // (num_blocks - 1))
                digest.update(file.read(_BLOCK))
    return size


def digest_weights(components: Mapping[str, Any]) -> str:
    """SHA-256 over the parameters, buffers and configurations of a pipeline's components."""
    digest = hashlib.sha256()
    for name, component in sorted(components.items()):
        config = getattr(component, "config", None)
        settings = {key: str(value) for key, value in dict(config or {}).items() if not key.startswith("_")}
        digest.update(f"\0{name}\0{type(component).__name__}\0{json.dumps(settings, sort_keys=True)}".encode())
        if isinstance(component, torch.nn.Module):
            _hash_tensors(digest, component.state_dict().items())
    return digest.hexdigest()


def _hash_tensors(digest: Any, tensors: Iterable[tuple[str, Tensor]]) -> None:
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().flatten()  # the order of the memory's axes plays no part
        digest.update(flat.view(torch.uint8).numpy())


def differences(before: Mapping[str, Any], now: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two manifests, one sentence part each: "`seed` was 1 and is now 2".

    What the weights are called is no difference; of other weights it is said.
    """
    found = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if old == new or name == "model":
            continue
        if name == "input":
            found.append(f"the input is another one ({_describe(old)} then, {_describe(new)} now)")
        elif name == "weights":
            found.append(f"the model has other weights or another configuration{_names(before, now)}")
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, "the version of " if name == "versions" else "")
        else:
            label = f"{prefix}{name}" if prefix else f"`{name}`"
            found.append(f"{label} was {_shown(old)} and is now {_shown(new)}")
    return found


def _shown(value: Any) -> str:
    """A setting in words; a manifest has None for what was not given."""
    if value is None:
        return "not given"
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _names(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What the models are called, where that is known and not the same."""
    old, new = ((manifest.get("model") or {}).get("name") for manifest in (before, now))
    return f" ({old} then, {new} now)" if old and new and old != new else ""


def _describe(source: Any) -> str:
    """An identity in a few characters."""
    if not isinstance(source, Mapping):
        return "unknown"
    return f"{source.get('bytes')} bytes, {str(source.get('sha256'))[:8]}"
