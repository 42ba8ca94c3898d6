"""What the device can do at best: matrix products, copies, links to its neighbours, 4-bit unpacking.

Runs in the child process only; needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from estimator.measuring.device import synchronise, versions

LEAST_S = 0.1
"""How long each probe repeats its work."""

NOT_HERE = (RuntimeError, AttributeError, ValueError, OSError)
"""What torch and bitsandbytes raise where a device, or their build, lacks the operation."""

CARD_SHAPES = ((4096, 4096, 4096), (8192, 8192, 8192), (2048, 4096, 11008), (16384, 5120, 5120), (512, 4096, 4096))
CPU_SHAPES = ((256, 256, 256), (512, 512, 512))
CARD_COPY_BYTES, CPU_COPY_BYTES = 2**30, 2**24
NF4_SHAPE = (4096, 11008)


def probe(job: Mapping[str, Any]) -> dict[str, Any]:
    """Every ceiling as a list of kind, dtype, shape, value and unit; what the device cannot do is named."""
    import torch

    device = torch.device(job["device"])
    on_card = device.type != "cpu"
    found: list[dict[str, str]] = []
    for name in ("bf16", "fp16", "fp32", "fp8") if on_card else ("fp32", "bf16"):
        for shape in CARD_SHAPES if on_card else CPU_SHAPES:
            found.append(_row("matrix product", name, "x".join(map(str, shape)), _product(name, shape, device)))
    size = CARD_COPY_BYTES if on_card else CPU_COPY_BYTES
    found.append(_row("copy", "", f"{size >> 20} MiB", _copy(size, device, device)))
    if on_card:
        for other in range(1, torch.cuda.device_count()):
            there = torch.device("cuda", other)
            found.append(_row("link", "", f"0 to {other}", _copy(size, device, there)))
        found.append(_row("NF4 dequantisation", "nf4", "x".join(map(str, NF4_SHAPE)), _dequantise(device)))
    return {"ceilings": found, **versions()}


def _row(kind: str, dtype: str, shape: str, figures: tuple[float, str] | str) -> dict[str, str]:
    if isinstance(figures, str):
        return {"kind": kind, "dtype": dtype, "shape": shape, "value": "", "unit": "", "notes": figures}
    return {
        "kind": kind,
        "dtype": dtype,
        "shape": shape,
        "value": f"{figures[0]:.5g}",
        "unit": figures[1],
        "notes": "",
    }


def _reason(error: Exception) -> str:
    """Why a probe has no figure, on one line.

    >>> _reason(RuntimeError())
    'not on this device: RuntimeError'
    """
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    return f"not on this device: {said[:120]}"


def _seconds(work: Callable[[], Any], device: Any) -> float:
    """Seconds of one call, over as many as fill the least time."""
    work()
    synchronise(device)
    calls = 1
    while True:
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        synchronise(device)
        spent = time.perf_counter() - begun
        if spent >= LEAST_S:
            return spent / calls
        calls *= 2


def _tensors(shape: tuple[int, int, int], dtype: Any, device: Any) -> Iterator[Any]:
    import torch

    m, k, n = shape
    for rows, columns in ((m, k), (k, n)):
        yield torch.randn(rows, columns, device=device).to(dtype)


def _product(name: str, shape: tuple[int, int, int], device: Any) -> tuple[float, str] | str:
    """TFLOP/s of one matrix product."""
    import torch

    m, k, n = shape
    try:
        if name == "fp8":
            left, right = _tensors((m, k, n), torch.float8_e4m3fn, device)
            turned = right.t().contiguous().t()
            one = torch.ones((), device=device)

            def work() -> Any:
                return torch._scaled_mm(left, turned, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)

        else:
            kinds = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
            left, right = _tensors(shape, kinds[name], device)

            def work() -> Any:
                return left @ right

        seconds = _seconds(work, device)
    except NOT_HERE as error:
        return _reason(error)
    return 2.0 * m * k * n / seconds / 1e12, "TFLOP/s"


def _copy(size: int, source: Any, target: Any) -> tuple[float, str] | str:
    """GB/s of a copy: bytes read and written inside a device, bytes sent between two."""
    import torch

    try:
        here = torch.ones(size, dtype=torch.uint8, device=source)
        there = torch.empty(size, dtype=torch.uint8, device=target)
        seconds = _seconds(lambda: there.copy_(here), source)
    except NOT_HERE as error:
        return _reason(error)
    moved = size * (2 if source == target else 1)
    return moved / seconds / 1e9, "GB/s"


def _dequantise(device: Any) -> tuple[float, str] | str:
    """Billion parameters unpacked per second."""
    import torch

    try:
        from bitsandbytes import functional
    except ImportError:
        return "bitsandbytes is not installed"
    weight = torch.randn(NF4_SHAPE, dtype=torch.bfloat16, device=device)
    try:
        packed, state = functional.quantize_4bit(weight, quant_type="nf4")
        seconds = _seconds(lambda: functional.dequantize_4bit(packed, state), device)
    except NOT_HERE as error:
        return _reason(error)
    return weight.numel() / seconds / 1e9, "billion parameters/s"
