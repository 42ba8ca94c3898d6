"""Reads a Hugging Face ``config.json`` of a known family into an architecture."""

from __future__ import annotations

from pathlib import Path

from estimator.architecture import Architecture
from estimator.errors import InputError


def read_config(path: Path) -> Architecture:
    """The architecture that a ``config.json`` describes."""
    raise InputError(f"{path}: reading a configuration is not available.")
