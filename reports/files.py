"""Writing a set of files so that either all are new and whole, or the old ones stay as they were."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from estimator.errors import InputError


def check_directory(directory: Path, *, flag: str = "--out") -> None:
    """Refuse a place that cannot hold the files, before anything is drawn.

    Args:
        directory: where the files go.
        flag: that names it.

    Raises:
        InputError: the path, or a part of it, is a file.
    """
    for place in (directory, *directory.parents):
        if place.exists():
            if not place.is_dir():
                raise InputError(f"{flag} {directory}: {place} is a file. Name a directory, new or existing.")
            return


def check_file(path: Path, *, flag: str, endings: tuple[str, ...]) -> None:
    """Refuse a file that cannot be written, before anything is worked out.

    Args:
        path: the file.
        flag: that names it.
        endings: those allowed, the usual one first.

    Raises:
        InputError: another ending, a directory, or a place that cannot hold it.
    """
    if path.suffix.lower() not in endings:
        allowed = " and ".join(endings)
        raise InputError(
            f"{flag} {path}: only {allowed} files are written. Write {flag} {path.with_suffix(endings[0])}."
        )
    if path.is_dir():
        raise InputError(f"{flag} {path} is a directory. Name a {' or '.join(endings)} file.")
    check_directory(path.parent, flag=flag)


def write_files(directory: Path, files: Mapping[str, bytes], *, flag: str = "--out") -> tuple[Path, ...]:
    """Write every file under a temporary name in the directory, then move all of them into place.

    An error or an interrupt before the last byte is on disk leaves the directory as it was; each move replaces
    one whole file by another.

    Raises:
        InputError: the directory or a file in it cannot be written.
    """
    check_directory(directory, flag=flag)
    targets = {directory / name: content for name, content in files.items()}
    blocked = [target.name for target in targets if target.is_dir()]
    if blocked:
        raise InputError(f"{flag} {directory}: {', '.join(blocked)} is a directory there. Name another.")
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
        place = next(iter(targets)) if len(targets) == 1 else directory
        raise InputError(
            f"{flag} {place}: cannot be written ({error.strerror or error}). Name a place where you may write;"
            " files that were there are whole."
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
