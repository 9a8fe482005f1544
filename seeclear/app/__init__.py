# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""The application on top of the library: the command line, upscaling jobs, evaluation and the view of what is seen."""
