"""Outputs that are kept: run as a module to write them again after a change that is meant to move them.

    python -m tests.golden

Each case is a command, a width, and what it prints on stdout and stderr. The README's output blocks are cases too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).resolve().parent / "golden"
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- output: COLUMNS=(\d+) (ftcost [^\n]*?) -->\n```\n)(.*?)(```\n)", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One command whose output is kept."""

    name: str
    command: tuple[str, ...]
    columns: int


MAIN = ("plan", "--model", "7b", "--rows", "10000")
CASES = (
    Case("plan-80", MAIN, 80),
    Case("plan-120", MAIN, 120),
    Case("plan-busy", (*MAIN, "--requests-per-day", "2000000", "--baseline", "mistral/mistral-medium-3-5"), 100),
    Case("plan-facts", (*MAIN, "--goal", "facts", "--data-changes-every", "1"), 100),
    Case("estimate-80", ("estimate", "--model", "llama-3.1-8b", "--method", "qlora", "--gpu", "rtx-4090"), 80),
    Case("nothing-fits", ("plan", "--model", "405b", "--gpus", "1", "--gpu", "h100"), 80),
    Case("unknown-model", ("plan", "--model", "lama-3.1-8b"), 80),
)


def run(command: tuple[str, ...], columns: int) -> tuple[str, str, int]:
    """Stdout, stderr and exit code of the program in a process of its own, without colour."""
    environment = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "NO_COLOR")}
    done = subprocess.run(
        [sys.executable, "-m", "reports", *command],
        capture_output=True,
        text=True,
        env=environment | {"COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"},
        cwd=ROOT,
        check=False,
    )
    return done.stdout, done.stderr, done.returncode


def readme_blocks() -> list[tuple[tuple[str, ...], int, str]]:
    """Command, width and text of every output block of the README."""
    text = README.read_text(encoding="utf-8")
    return [(tuple(m[3].split()[1:]), int(m[2]), m[4]) for m in BLOCK.finditer(text)]


def write() -> None:
    """Write every kept output anew."""
    FOLDER.mkdir(exist_ok=True)
    for case in CASES:
        out, err, code = run(case.command, case.columns)
        (FOLDER / f"{case.name}.out").write_text(out, encoding="utf-8")
        (FOLDER / f"{case.name}.err").write_text(f"exit {code}\n{err}", encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    README.write_text(
        BLOCK.sub(lambda m: m[1] + trimmed(run(tuple(m[3].split()[1:]), int(m[2]))[0]) + m[5], text),
        encoding="utf-8",
    )


def trimmed(text: str) -> str:
    """Without the spaces that fill a terminal's lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


if __name__ == "__main__":
    write()
