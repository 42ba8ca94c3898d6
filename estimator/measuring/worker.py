"""The child process: ``python -m estimator.measuring.worker JOB ANSWER`` does a job and writes its answer."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from estimator.errors import InputError

WATCH_S = 1.0
NO_MEMORY = ("out of memory", "_status_alloc_failed", "can't allocate memory", "not enough memory")


def perform(job: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a job, whatever happens in it short of the end of the process."""
    from estimator.measuring.ceilings import probe
    from estimator.measuring.device import describe
    from estimator.measuring.steps import train

    kinds: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "device": describe,
        "train": train,
        "ceilings": probe,
    }
    try:
        return {"outcome": "ok", **kinds[job["kind"]](job)}
    except InputError as error:
        return {"outcome": "refused", "message": str(error)}
    except ModuleNotFoundError as error:
        return {"outcome": "refused", "message": f"needs {error.name}, not installed: pip install {error.name}"}
    except MemoryError as error:
        return {"outcome": "out-of-memory", "message": str(error)}
    except Exception as error:
        first = next(iter(str(error).splitlines()), "")
        gone = any(words in str(error).casefold() for words in NO_MEMORY)
        return {
            "outcome": "out-of-memory" if gone else "crashed",
            "message": first if gone else f"{type(error).__name__}: {first}",
        }


def _leave_with_parent() -> None:
    """End when the parent has: nothing must go on keeping the device busy."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(WATCH_S)
    os._exit(1)


def main() -> None:
    """Do the job of the first file and write its answer to the second."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    asked, answered = map(Path, sys.argv[1:])
    answer = perform(json.loads(asked.read_text(encoding="utf-8")))
    part = answered.with_suffix(".part")
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(answered)


if __name__ == "__main__":
    main()
