# Copyright 2026 The SeeClear Authors. Licensed under the Apache License, Version 2.0.
"""`python -m seeclear` is the command `seeclear`."""

from seeclear.app.cli import main

if __name__ == "__main__":
    main()
