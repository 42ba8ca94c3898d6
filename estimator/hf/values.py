"""Typed access to the values of a ``config.json``, with messages that name file, family and key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from estimator.errors import InputError

LARGEST = 10**12


class Values:
    """The values of one configuration; what is missing is collected and reported at once by `finish`."""

    def __init__(self, raw: Mapping[str, Any], *, file: str, family: str) -> None:
        self.raw = raw
        self.where = f"{file} ({family})"
        self._missing: list[str] = []

    def whole(self, *keys: str, default: int | None = None, low: int = 1) -> int:
        """A whole number under the first of these keys that is set; required where there is no default."""
        for key in keys:
            value = self.raw.get(key)
            if value is not None:
                return self._checked(key, value, low)
        if default is None:
            self._missing.append(" or ".join(dict.fromkeys(keys)))
            return 1
        return default

    def flag(self, key: str, default: bool) -> bool:
        """A truth value."""
        value = self.raw.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InputError(f"{self.where}: {key} is {value!r}; true or false is needed.")
        return value

    def number(self, key: str, default: float) -> float | None:
        """A number, or None where the file says null."""
        value = self.raw.get(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < LARGEST:
            raise InputError(f"{self.where}: {key} is {value!r}; a number above 0 is needed.")
        return float(value)

    def defaulting(self, **defaults: int) -> Values:
        """The same values with these defaults for keys that are absent."""
        self.raw = {**defaults, **self.raw}
        return self

    def section(self, key: str) -> Values:
        """A nested object, empty where it is absent; its values need defaults."""
        value = self.raw.get(key)
        if value is not None and not isinstance(value, dict):
            raise InputError(f"{self.where}: {key} must be an object.")
        nested = Values(value or {}, file="", family="")
        nested.where = f"{self.where} {key}"
        return nested

    def first_section(self) -> Values:
        """The first nested object of this one, empty where there is none."""
        return self.section(next(iter(self.raw), ""))

    def names(self, key: str, count: int) -> Sequence[str] | None:
        """A list of ``count`` names, one a layer, or None where it is absent."""
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise InputError(f"{self.where}: {key} must be a list of names.")
        if len(value) != count:
            raise InputError(f"{self.where}: {key} has {len(value)} entries for {count} layers.")
        return value

    def numbers(self, key: str) -> Sequence[int] | None:
        """A list of whole numbers, or None where it is absent."""
        value = self.raw.get(key)
        if value is None:
            return None
        if not isinstance(value, list):
            raise InputError(f"{self.where}: {key} must be a list of whole numbers.")
        return [self._checked(key, entry, 0) for entry in value]

    def refuse(self, condition: bool, what: str) -> None:
        """Stop where the configuration asks for a variant whose shape is not known exactly."""
        if condition:
            raise InputError(f"{self.where}: {what} is not supported; its shape would not be exact.")

    def finish(self) -> None:
        """Raise where a required key was missing."""
        if self._missing:
            raise InputError(f"{self.where}: missing {', '.join(dict.fromkeys(self._missing))}.")

    def _checked(self, key: str, value: object, low: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= LARGEST:
            raise InputError(f"{self.where}: {key} is {value!r}; a whole number from {low} is needed.")
        return value
