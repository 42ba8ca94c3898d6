"""Where output goes: results on stdout, everything else on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def results() -> Console:
    """A console on stdout; plain in a pipe, and without colour where NO_COLOR is set."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False, emoji=False, markup=False)


def say(message: str) -> None:
    """A line on stderr."""
    print(message, file=sys.stderr)
