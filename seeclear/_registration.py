# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""Makes `seeclear` a library that diffusers loads pipeline components from.

`model_index.json` names a component by library and class. For a library that diffusers knows, that is the package
(`["seeclear", "PixelCondenser"]`), which is imported when a pipeline is loaded from a folder or from the Hub. For any
other it is the full module path, which binds saved pipelines to today's files, and a download from the Hub is refused.
"""

LIBRARY = "seeclear"


def register() -> None:
    """Adds `seeclear` to the libraries diffusers loads components from; calling it again changes nothing.

    The components derive from diffusers' own `ModelMixin` and `SchedulerMixin`, so no further base classes are listed.
    Imports diffusers' pipeline code, and with it torch. Every sub-package that defines or uses components calls this
    when it is imported: whatever is imported first, no component exists before the library is known.
    """
    from diffusers.pipelines.pipeline_loading_utils import LOADABLE_CLASSES

    LOADABLE_CLASSES.setdefault(LIBRARY, {})
