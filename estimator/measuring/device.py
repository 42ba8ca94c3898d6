"""What the device is and how it stands: name, memory, clocks, power limit, versions of the software.

Runs in the child process only; needs torch. Clocks and power come from nvidia-smi, where there is one.
"""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes")
ASKED = "clocks.sm,power.limit,driver_version"
MOST_BUSY_STEPS = 20
SMI_LIMIT_S = 20.0


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a step runs through, where they are installed."""
    import torch

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    runtime = torch.version.cuda or (f"ROCm {torch.version.hip}" if torch.version.hip else "")
    return {**found, **({"cuda": runtime} if runtime else {})}


def synchronise(device: Any) -> None:
    """Wait until the device has done all that it was asked."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def describe(_: Any) -> dict[str, Any]:
    """The accelerators that torch sees, the first of them in full."""
    import torch

    found: dict[str, Any] = {"count": 0, **versions()}
    if not torch.cuda.is_available():
        return found
    free, total = torch.cuda.mem_get_info(0)
    return {
        **found,
        "count": torch.cuda.device_count(),
        "device": torch.cuda.get_device_name(0),
        "total_bytes": total,
        "used_bytes": total - free,
    }


def clocks(device: Any, *, busy: Callable[[], Any]) -> dict[str, str]:
    """SM clock under load, power limit and driver; empty where nvidia-smi is not there or says nothing.

    ``busy`` keeps the device at work while nvidia-smi looks.
    """
    import torch

    uuid = str(getattr(torch.cuda.get_device_properties(device), "uuid", ""))
    command = ["nvidia-smi", f"--query-gpu={ASKED}", "--format=csv,noheader,nounits"]
    if uuid:
        command += ["-i", uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"]
    try:
        smi = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return {}
    for _ in range(MOST_BUSY_STEPS):
        if smi.poll() is not None:
            break
        busy()
    try:
        said, _ = smi.communicate(timeout=SMI_LIMIT_S)
    except subprocess.TimeoutExpired:
        smi.kill()
        smi.communicate()
        return {}
    if smi.returncode or not said.strip():
        return {}
    cells = [cell.strip() for cell in said.splitlines()[0].split(",")]
    names = ("clock_mhz", "power_cap_watt", "driver")
    return {name: cell for name, cell in zip(names, cells, strict=False) if cell and not cell.startswith("[")}
