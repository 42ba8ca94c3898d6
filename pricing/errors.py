"""What can go wrong, said once: what is wrong, where, what is allowed, what to do."""

from __future__ import annotations

from collections.abc import Iterable


class InputError(ValueError):
    """Input or data that cannot be used. The message is complete; a caller adds nothing but the exit code."""


class UnknownNameError(InputError):
    """A name that no catalogue has.

    Args:
        kind: what was asked for, in the singular ("model", "GPU", "stack").
        name: what the user typed.
        known: every name that would have been accepted.
        where: the flag, file or row it came from; empty where obvious.
        hint: what to do instead of guessing (a command that lists the names).
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "", hint: str = "") -> None:
        names = sorted(set(known))
        self.close_matches = close_matches(name, names)
        parts = [f"unknown {kind} {name!r}{f' in {where}' if where else ''}."]
        if self.close_matches:
            parts.append(f"Closest: {', '.join(self.close_matches)}.")
        elif len(names) <= 16:
            parts.append(f"Allowed: {', '.join(names)}.")
        if hint:
            parts.append(hint)
        super().__init__(" ".join(parts))


def separator_hint(first_line: str) -> str:
    """What to do where the cells of a CSV table are not separated by commas, as some spreadsheets write them.

    >>> separator_hint("model;method")
    ' Its cells are separated by semicolons: write commas, and decimals with a point.'
    >>> separator_hint("model,method")
    ''
    """
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if mark in first_line and "," not in first_line:
            return f" Its cells are separated by {name}: write commas, and decimals with a point."
    return ""


def close_matches(name: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """The closest known names: by likeness of the whole, else those that contain what was typed.

    >>> close_matches("lora-", ["full", "lora", "qlora"])
    ['lora', 'qlora']
    """
    from difflib import get_close_matches

    by_fold = {candidate.casefold(): candidate for candidate in known}
    folded = name.casefold()
    likely = get_close_matches(folded, by_fold, n=limit, cutoff=0.6)
    if not likely and folded:
        likely = sorted((key for key in by_fold if folded in key), key=len)[:limit]
    return [by_fold[key] for key in likely]
