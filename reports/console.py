"""Where output goes: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def results() -> Console:
    """A console on stdout; plain in a pipe, and without colour where NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, emoji=False, markup=False)


def settle_streams() -> None:
    """A stream that was closed swallows what is written; a character that one lacks is written as its escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(message: str) -> None:
    """A line on stderr."""
    print(message, file=sys.stderr)
