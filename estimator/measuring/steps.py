"""A few real training steps: time of each, and the highest memory over all of them, the first included.

Building the model does not count: its random weights come in another way than a checkpoint's.

Runs in the child process only; needs torch.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from estimator.measuring.build import build_model, build_optimizer, count_parameters
from estimator.measuring.device import clocks, synchronise, versions
from estimator.measuring.fused_loss import fused_loss

WARM_STEPS = {"hf": 3, "hf-compile": 5}
CLIP_NORM = 1.0
"""The Trainer's gradient clipping."""


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Build the job's model, take warm-up and timed steps, and say what they took."""
    import torch

    device = torch.device(job["device"])
    on_card = device.type != "cpu"
    cells = job["cells"]
    model = build_model(job, device=device)
    trained = count_parameters(model)
    optimizer = build_optimizer(cells["optimizer"], model)
    shape = (int(cells["micro_batch"]), int(cells["seq_len"]))
    tokens = torch.randint(0, job["config"]["vocab_size"], shape, device=device)
    loss = _loss(model, cells)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if on_card:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)

    def step() -> float:
        synchronise(device)
        begun = time.perf_counter()
        with _autocast(cells, device):
            value = loss(tokens)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronise(device)
        return time.perf_counter() - begun

    for _ in range(WARM_STEPS[cells["stack"]]):
        step()
    times = sorted(step() for _ in range(job["steps"]))
    found: dict[str, Any] = {
        "steps": len(times),
        "step_s_median": statistics.median(times),
        "step_s_low": times[0],
        "step_s_high": times[-1],
        "parameters": job["parameters"],
        "trainable_parameters": trained,
        **versions(),
    }
    if on_card:
        free, total = torch.cuda.mem_get_info(device)
        found |= {
            "allocated_bytes": torch.cuda.max_memory_allocated(device),
            "reserved_bytes": torch.cuda.max_memory_reserved(device),
            "device_bytes": total - free,
            "memory_total_gib": round(total / 2**30, 3),
            **clocks(device, busy=step),
        }
    return found


def _autocast(cells: Mapping[str, str], device: Any) -> Any:
    import torch

    if cells["autocast"] != "yes":
        return contextlib.nullcontext()
    return torch.autocast(
        device.type, dtype=getattr(torch, {"fp16": "float16"}.get(cells["compute_dtype"], "bfloat16"))
    )


def _loss(model: Any, cells: Mapping[str, str]) -> Callable[[Any], Any]:
    """The loss of a batch of tokens; compiled where the stack says so."""
    compiled = cells["stack"] == "hf-compile"
    if cells["loss"] != "fused":
        if compiled:
            model.compile()
        return lambda tokens: model(input_ids=tokens, labels=tokens, use_cache=False).loss
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    decoder, head = causal.get_decoder(), causal.get_output_embeddings()
    if compiled:
        decoder.compile()

    def fused(tokens: Any) -> Any:
        return fused_loss(decoder(input_ids=tokens, use_cache=False).last_hidden_state, head.weight, tokens)

    return fused
