"""Writing report files: all new and whole, or the old ones as they were."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import reports.files as module
from estimator.errors import InputError
from reports.files import check_directory, write_files


def test_writes_every_file_into_a_new_directory(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    assert write_files(target, {"x": b"1", "y": b"2"}) == (target / "x", target / "y")
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"x": b"1", "y": b"2"}


def test_replaces_its_files_and_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "mine").write_bytes(b"mine")
    write_files(tmp_path, {"x": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"new", "mine": b"mine"}


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(OSError(errno.ENOSPC, "No space left on device"), InputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_failure_midway_leaves_old_files_whole_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, raised: type[BaseException]
) -> None:
    for name in ("x", "y"):
        (tmp_path / name).write_bytes(b"old " + name.encode())
    whole = module._write_whole

    def fails_at_second(path: Path, content: bytes) -> None:
        if ".y." in path.name:
            path.write_bytes(content[:1])
            raise failure
        whole(path, content)

    monkeypatch.setattr(module, "_write_whole", fails_at_second)
    with pytest.raises(raised):
        write_files(tmp_path, {"x": b"new", "y": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x": b"old x", "y": b"old y"}


def test_failure_removes_the_directories_it_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write_whole", full)
    with pytest.raises(InputError, match="No space left"):
        write_files(tmp_path / "a" / "b", {"x": b"1"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tail", ["", "inside"])
def test_a_file_in_the_way_is_refused(tmp_path: Path, tail: str) -> None:
    blocker = tmp_path / "report"
    blocker.write_text("kept")
    with pytest.raises(InputError, match="report is a file"):
        check_directory(blocker / tail if tail else blocker)
    assert blocker.read_text() == "kept"


def test_a_directory_under_the_name_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "budget.pdf").mkdir()
    with pytest.raises(InputError, match=r"budget\.pdf is a directory"):
        write_files(tmp_path, {"plan.json": b"{}", "budget.pdf": b"x"})
    assert [path.name for path in tmp_path.iterdir()] == ["budget.pdf"]
