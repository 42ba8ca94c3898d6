"""Writing a set of files so that either all are new and whole, or the old ones stay as they were."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from estimator.errors import InputError


def check_directory(directory: Path) -> None:
    """Refuse a place that cannot hold the files, before anything is drawn.

    Raises:
        InputError: the path, or a part of it, is a file.
    """
    for place in (directory, *directory.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(f"--out {directory}: {place} is a file. Name a directory, new or existing.")
            return


def write_files(directory: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write every file under a temporary name in the directory, then move all of them into place.

    An error or an interrupt before the last byte is on disk leaves the directory as it was; each move replaces
    one whole file by another.

    Raises:
        InputError: the directory or a file in it cannot be written.
    """
    check_directory(directory)
    targets = {directory / name: content for name, content in files.items()}
    blocked = [target.name for target in targets if target.is_dir()]
    if blocked:
        raise InputError(f"--out {directory}: {', '.join(blocked)} is a directory there. Name another directory.")
    created = [place for place in (directory, *directory.parents) if not place.exists()]
    pending: dict[Path, Path] = {}
    done = False
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for target, content in targets.items():
            pending[target] = target.with_name(f".{target.name}.{os.getpid()}.part")
            _write_whole(pending[target], content)
        for target, temporary in pending.items():
            os.replace(temporary, target)
        done = True
    except OSError as error:
        raise InputError(
            f"--out {directory}: cannot write there ({error.strerror or error}). Files that were there are whole."
        ) from error
    finally:
        if not done:
            for temporary in pending.values():
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
            for place in created:
                with suppress(OSError):
                    place.rmdir()
    return tuple(targets)


def _write_whole(path: Path, content: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
