"""Reads a Hugging Face ``config.json`` of a known family into an architecture.

A key that the file lacks takes the value that the family's own code gives it. The sizes that no default can
stand for (layers, width, heads, feed-forward width, vocabulary) must be there; all that are missing are named
in one message. The text part of a multimodal configuration (``text_config``) is read in its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from estimator.architecture import Architecture
from estimator.errors import InputError, UnknownNameError
from estimator.families import build_architecture
from estimator.hf.families import ALIASES, READERS
from estimator.hf.values import Values

LARGEST_FILE_BYTES = 8 * 2**20


def read_config(path: Path) -> Architecture:
    """The architecture that a ``config.json`` describes.

    Args:
        path: the file, or the directory that holds ``config.json``.

    Raises:
        InputError: no such file, malformed JSON, an unknown family, missing or impossible values. The message
            names the file, the family and the keys.
    """
    file = path / "config.json" if os.path.isdir(path) else path
    return architecture_of(_load(file), file=str(file))


def architecture_of(raw: Mapping[str, Any], *, file: str) -> Architecture:
    """The architecture of a configuration that has been parsed already; ``file`` is for messages.

    Raises:
        InputError: as `read_config`.
    """
    inner = raw.get("text_config")
    if inner is not None and not isinstance(inner, dict):
        raise InputError(f"{file}: text_config must be an object.")
    config = {**{key: raw[key] for key in ("tie_word_embeddings",) if key in raw}, **inner} if inner else raw
    family = config.get("model_type", raw.get("model_type"))
    if not isinstance(family, str) or not family:
        raise InputError(f"{file}: model_type is missing; it names the family, such as llama or qwen3.")
    family = ALIASES.get(family, family)
    if family not in READERS:
        raise UnknownNameError(
            "model family",
            family,
            READERS,
            where=file,
            hint=f"Known families: {', '.join(sorted(READERS))}.",
        )
    values = Values(config, file=file, family=family)
    fields = READERS[family](values)
    values.finish()
    return build_architecture(id=file, family=family, fields=fields, where=f"{file} ({family})")


def _load(file: Path) -> Mapping[str, Any]:
    try:
        if file.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"{file}: larger than {LARGEST_FILE_BYTES >> 20} MiB; this is no config.json.")
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; give a config.json or the directory that holds one.") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: not valid JSON ({error}).") from None
    if not isinstance(raw, dict):
        raise InputError(f"{file}: the top level must be an object with keys such as model_type.")
    return raw
