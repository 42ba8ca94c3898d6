"""One job in a process of its own: started, watched, ended, and its answer read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import estimator
from estimator.measuring.worker import NO_MEMORY

WORKER = (sys.executable, "-m", "estimator.measuring.worker")
GRACE_S = 5.0
POLL_S = 0.2
TAIL_CHARACTERS = 400

Answer = dict[str, Any]
Worker = Callable[[Mapping[str, Any], float], Answer]
"""A job and its limit in seconds in, an answer out: ``outcome`` and, where that is "ok", the figures."""


def run_job(job: Mapping[str, Any], limit_s: float, *, command: Sequence[str] = WORKER) -> Answer:
    """Run a job in a child process and return its answer; a child that dies or takes too long is an answer too.

    Outcomes: ok; out-of-memory; refused (the job cannot be run here, with the reason); crashed; timed-out. The
    child and what it started are ended before this returns or raises, whatever happens.
    """
    with tempfile.TemporaryDirectory(prefix="ftcost-") as folder:
        asked, answered = Path(folder) / "job.json", Path(folder) / "answer.json"
        asked.write_text(json.dumps(job), encoding="utf-8")
        with (Path(folder) / "stderr").open("w+", encoding="utf-8", errors="replace") as said:
            child = subprocess.Popen(
                [*command, str(asked), str(answered)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "PYTHONPATH": _path(), "TOKENIZERS_PARALLELISM": "false"},
                start_new_session=True,
            )
            try:
                code = _wait(child, limit_s)
            finally:
                _end(child)
            said.seek(0)
            tail = said.read()[-TAIL_CHARACTERS:]
        if code is None:
            return {"outcome": "timed-out", "message": f"not done after {limit_s:.0f} s"}
        with suppress(OSError, ValueError):
            answer = json.loads(answered.read_text(encoding="utf-8"))
            if isinstance(answer, dict) and "outcome" in answer:
                return answer
    gone = any(words in tail.casefold() for words in NO_MEMORY)
    return {"outcome": "out-of-memory" if gone else "crashed", "message": _reason(code, tail)}


def _path() -> str:
    own = str(Path(estimator.__file__).resolve().parent.parent)
    return os.pathsep.join(part for part in (own, os.environ.get("PYTHONPATH", "")) if part)


def _wait(child: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """The exit code, or None at the limit; wakes often, so that an interrupt is heard on every system."""
    end = time.monotonic() + limit_s
    while (left := end - time.monotonic()) > 0.0:
        with suppress(subprocess.TimeoutExpired):
            return child.wait(timeout=min(POLL_S, left))
    return child.poll()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and all that it started: asked first, then made to."""
    if os.name == "posix":
        for way, patience in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, way)
            with suppress(subprocess.TimeoutExpired):
                child.wait(timeout=patience)
                if way == signal.SIGKILL:
                    return
    else:
        child.kill()
        child.wait()


def _reason(code: int, tail: str) -> str:
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    how = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"{how}: {lines[-1]}" if lines else how
