# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""How everything of this package that has weights or a configuration is loaded: by folder, Hub id or shipped name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from seeclear.runtime import choose_device, choose_dtype
from seeclear.shipped import SHIPPED_WEIGHTS, locate

HUB_TIMEOUT = 5.0
"""Seconds in which the Hub must answer."""


class FromShipped:
    """Before a class with diffusers' `from_pretrained` in the order of bases: lets it know the shipped weights too."""

    _has_weights = True
    """Whether there are weights beside the configuration."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """As diffusers' own; besides folders and Hub ids it knows the names of the shipped weights.

        Weights are read from safetensors only. `variant="fp16"` of a shipped name is what is shipped, and
        `dtype="auto"` is what the command line takes: the fastest on this machine (`seeclear.runtime.choose_dtype`).

        Raises:
            ValueError: the name is neither a shipped model, nor a folder, nor of the form of a Hub id; it is a Hub id,
                the Hub can't be reached, and the files are not on this machine; or pickled weights were asked for.
        """
        location = locate(pretrained_model_name_or_path)
        if kwargs.pop("use_safetensors", None) is False:
            raise ValueError("`use_safetensors` is False; this package reads weights from safetensors only")
        if location.startswith(str(SHIPPED_WEIGHTS)):
            variant = kwargs.pop("variant", None)
            if variant not in (None, "fp16"):
                raise ValueError(f"`variant` is {variant!r}; the shipped weights are fp16")
        for name in {"dtype", "torch_dtype"} & {name for name in kwargs if isinstance(kwargs[name], str)}:
            if kwargs[name] == "auto":
                kwargs[name], _ = choose_dtype(choose_device())
        if cls._has_weights:
            kwargs["use_safetensors"] = True
        with reaching_the_hub(location, kwargs) as kwargs:
            return super().from_pretrained(location, *args, **kwargs)  # type: ignore[misc]


@contextmanager
def reaching_the_hub(location: str, kwargs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments with which diffusers does not wait for a Hub that can't be reached.

    Args:
        location: as [`locate`] gives it.
        kwargs: of a `from_pretrained` or `load_config`.

    Raises:
        ValueError: within the context: the Hub can't be reached, and the files are not on this machine.
    """
    if os.path.isdir(location) or kwargs.get("local_files_only") or _hub_answers(location):
        yield kwargs
        return
    try:
        yield kwargs | {"local_files_only": True}
    except OSError as error:
        raise ValueError(
            f"{location!r} is not on this machine, and the Hub can't be reached to download it: there is no network, "
            "or it is switched off (HF_HUB_OFFLINE)"
        ) from error


def _hub_answers(repository: str) -> bool:
    """Whether the Hub says anything of a repository, be it that there is none."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().model_info(repository, timeout=HUB_TIMEOUT)
    except HfHubHTTPError:
        return True
    except Exception:  # of the HTTP library, which is another one with almost every major version of the Hub's client
        return False
    return True
