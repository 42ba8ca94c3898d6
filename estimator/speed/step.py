"""One optimizer step, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from estimator.machine import LAUNCH
from estimator.numbers import Number
from estimator.run import Run
from estimator.speed.attention import attention_s
from estimator.speed.collectives import (
    context_parallel_s,
    expert_parallel_s,
    sharding_micro_batch_s,
    sharding_step_s,
    tensor_parallel_s,
)
from estimator.speed.constants import KERNEL_CLASS, Constants
from estimator.speed.dequantise import dequantise_s
from estimator.speed.elementwise import elementwise_s, low_precision_cast_s
from estimator.speed.launch import launch_s
from estimator.speed.lora import adapters_s
from estimator.speed.loss import loss_s
from estimator.speed.matmul import Counts, Unit, products_s, rate_flop_per_s
from estimator.speed.optimizer import accumulation_s, offload_s, optimizer_s
from estimator.speed.pipeline import bubble_fraction, stage_share
from estimator.speed.shapes import DENSE_GROUPS, Sums, dense_sums, expert_sums, head_sums

#: Stacks that run query, key and value, and gate and up, as one product each.
FUSES_PROJECTIONS = frozenset({"megatron", "llm-foundry", "internevo"})


#: Stacks whose recompute ends before a block's last product, whose result the backward does not need
#: (torch.utils.checkpoint without re-entrance).
STOPS_RECOMPUTE_EARLY = frozenset(
    {"llm-foundry", "torchtitan", "torchtune", "torchtune-compile", "litgpt", "fms-fsdp", "nemo-automodel"}
)


@dataclass(frozen=True, kw_only=True)
class Passes:
    """How often each kind of work runs forward in one micro-batch, recompute included."""

    matmul: float
    attention: float
    elementwise: float
    launch: float


def passes(*, run: Run, constants: Constants) -> Passes:
    """Forward passes by recompute mode.

    full: everything twice. selective: element-wise work twice and a share of the products that depends on
    the stack (every second one in torchtitan's policy, none in Megatron's, which recomputes attention's
    softmax that flash kernels never store).
    """
    if run.recompute == "full":
        return Passes(matmul=2.0, attention=2.0, elementwise=2.0, launch=2.0)
    if run.recompute == "selective":
        share = constants.of_stack("selective_recompute_fraction", run.stack)
        return Passes(matmul=1.0 + share, attention=1.0, elementwise=2.0, launch=1.0 + share)
    return Passes(matmul=1.0, attention=1.0, elementwise=1.0, launch=1.0)


def _unit(run: Run, constants: Constants, rate: Number) -> Unit:
    return Unit(
        flop_per_s=rate,
        memory_bytes_per_s=run.accelerator.memory_bytes_per_s,
        idle_outputs=constants["matmul_idle_wave_outputs"],
        operand_fraction=constants["matmul_operand_fraction"],
    )


def dense_products(
    *, run: Run, constants: Constants, groups: tuple[str, ...] = DENSE_GROUPS
) -> tuple[tuple[Sums, Counts], ...]:
    """Products of the modules that every token passes, all layers, with how often each runs in a micro-batch."""
    fused = run.stack in FUSES_PROJECTIONS
    early = run.stack in STOPS_RECOMPUTE_EARLY
    return _with_recompute(
        run, constants, lambda last: dense_sums(run.architecture, fused, early and not last, groups)
    )


def expert_products(*, run: Run, constants: Constants) -> tuple[tuple[Sums, Counts], ...]:
    """The same of the routed experts."""
    fused = run.stack in FUSES_PROJECTIONS
    early = run.stack in STOPS_RECOMPUTE_EARLY
    return _with_recompute(run, constants, lambda last: expert_sums(run.architecture, fused, early and not last))


def _with_recompute(
    run: Run, constants: Constants, sums: Callable[[bool], Sums]
) -> tuple[tuple[Sums, Counts], ...]:
    """A forward and backward of all modules, and the recomputed forward, which may end before the last."""
    once = Counts(forward=1.0, input_gradient=1.0, weight_gradient=0.0 if run.adapters else 1.0)
    if run.recompute == "none":
        return ((sums(True), once),)
    again = Counts(forward=passes(run=run, constants=constants).matmul - 1.0)
    return ((sums(True), once), (sums(False), again))


def head_products(*, run: Run) -> tuple[Sums, Counts]:
    """The language-model head, which is never recomputed."""
    trained = 1.0 if not run.adapters or "head" in run.also_trained else 0.0
    return head_sums(run.architecture), Counts(forward=1.0, input_gradient=1.0, weight_gradient=trained)


def device_parts_s(*, run: Run, constants: Constants) -> dict[str, Number]:
    """Device seconds of one micro-batch on the slowest pipeline stage, by kind of work."""
    times = passes(run=run, constants=constants)
    wide = rate_flop_per_s(run=run, constants=constants, low_precision=False)
    narrow = rate_flop_per_s(run=run, constants=constants, low_precision=True)
    blocks: dict[str, Number] = {
        "matrix products": dense_s(run=run, constants=constants, rate=narrow),
        **(
            {"expert products": experts_s(run=run, constants=constants, rate=narrow)}
            if run.architecture.experts
            else {}
        ),
        "attention": attention_s(run=run, constants=constants, forward=times.attention),
        "element-wise": elementwise_s(run=run, constants=constants, forward=times.elementwise),
        "casts": low_precision_cast_s(run=run, constants=constants, forward=times.matmul),
        "adapters": adapters_s(run=run, constants=constants, rate=wide, forward=times.matmul),
        "dequantisation": dequantise_s(run=run, constants=constants, passes=times.matmul + 1.0),
    }
    parts = {name: seconds / run.pp for name, seconds in blocks.items()}
    head = head_s(run=run, constants=constants, rate=wide) + loss_s(run=run, constants=constants)
    parts["vocabulary"] = head * stage_share(run=run, constants=constants)
    parts["gradient accumulation"] = accumulation_s(run=run, constants=constants)
    return parts


def dense_s(*, run: Run, constants: Constants, rate: Number, groups: tuple[str, ...] = DENSE_GROUPS) -> Number:
    """Seconds of the products of `dense_products` over one micro-batch, all layers."""
    unit = _unit(run, constants, rate)
    found = dense_products(run=run, constants=constants, groups=groups)
    each = (products_s(sums=s, unit=unit, counts=c, tokens=run.micro_batch_tokens, tp=run.tp) for s, c in found)
    return sum(each, start=0.0)


def experts_s(*, run: Run, constants: Constants, rate: Number) -> Number:
    """Seconds of the routed experts' products over one micro-batch, all layers."""
    unit = _unit(run, constants, rate * constants.of_stack("expert_rate_fraction", run.stack))
    grouped = KERNEL_CLASS[run.stack] != "eager"
    routed = partial(products_s, unit=unit, tokens=run.micro_batch_tokens, tp=run.tp, ep=run.ep, grouped=grouped)
    each = (routed(sums=sums, counts=counts) for sums, counts in expert_products(run=run, constants=constants))
    return sum(each, start=0.0)


def head_s(*, run: Run, constants: Constants, rate: Number) -> Number:
    """Seconds of the language-model head's products over one micro-batch."""
    sums, counts = head_products(run=run)
    unit = _unit(run, constants, rate)
    return products_s(sums=sums, unit=unit, counts=counts, tokens=run.micro_batch_tokens, tp=run.tp)


def overlapped_s(*, device_s: Number, host_s: Number, sharpness: float) -> Number:
    """What the host's launching adds to device time: a smooth maximum of the two, less the device time.

    (device^p + host^p)^(1/p) - device. A plain maximum is p = infinity; stretches of short kernels make the
    host the slower of the two even where it is the faster over the whole micro-batch.

    >>> overlapped_s(device_s=3.0, host_s=4.0, sharpness=2.0)
    2.0
    """
    return (device_s**sharpness + host_s**sharpness) ** (1.0 / sharpness) - device_s


def exposed_parts_s(
    *, communication_s: dict[str, Number], overlap: dict[str, float], busy_s: Number
) -> tuple[dict[str, Number], Number]:
    """Exposed seconds of each communication, and the compute seconds they hid behind.

    Each could hide its overlap fraction, c in all, behind compute d. What really hides is c d / (c + d): all
    of it where compute is long, half where the two are equal, for a layer's transfer hides behind its
    neighbour's arithmetic and layers, phases and buffers are uneven. It is shared among the kinds in
    proportion. The sum d + c - hidden falls with either, so a faster card or link never makes it longer.
    """
    wanted: Number = 0.0 * busy_s
    for name, seconds in communication_s.items():
        wanted = wanted + overlap[name] * seconds
    scale = busy_s / (busy_s + wanted)
    parts = {name: seconds * (1.0 - overlap[name] * scale) for name, seconds in communication_s.items()}
    return parts, wanted * scale


def straggler_fraction(*, run: Run, constants: Constants) -> Number:
    """Time lost to the slowest rank, as a share of the work: it grows with each doubling of the nodes.

    Ranks that shard their weights meet in every layer and wait each time. Those that meet once per step average
    their jitter over its n micro-batches first: 1 / sqrt(n) of it is left. Source: derived (mean of
    independent delays), fitted.
    """
    nodes = np.maximum(run.gpus / run.accelerator.gpus_per_node, 1.0)
    met = 1.0 if run.sharding in ("fsdp", "hsdp") else run.micro_batches
    return constants["straggler_fraction_per_doubling"] * np.log2(nodes) / np.sqrt(met)


def step_parts_s(*, run: Run, constants: Constants) -> dict[str, Number]:
    """Exposed seconds of one optimizer step of the whole job, by cause."""
    run = constants.on_machine(run)
    times = passes(run=run, constants=constants)
    parts = device_parts_s(run=run, constants=constants)
    device: Number = sum(parts.values(), start=0.0 * run.micro_batch)
    parts["kernel launch"] = overlapped_s(
        device_s=device,
        host_s=launch_s(run=run, constants=constants, forward=times.launch) * constants.of_machine(LAUNCH, run),
        sharpness=constants["launch_blend_exponent"],
    )
    busy = device + parts["kernel launch"]
    links = {
        "sharding": sharding_micro_batch_s(run=run, constants=constants),
        "tensor parallel": tensor_parallel_s(run=run, constants=constants, forward=times.matmul),
        "context parallel": context_parallel_s(run=run, constants=constants, forward=times.attention),
        "expert parallel": expert_parallel_s(run=run, constants=constants, forward=times.matmul),
        "offload": offload_s(run=run, constants=constants),
    }
    overlap = {
        "sharding": constants.of_host("sharding_overlap_fraction", run.stack),
        "tensor parallel": constants.of_stack("tensor_parallel_overlap_fraction", run.stack),
        "context parallel": constants["context_parallel_overlap_fraction"],
        "expert parallel": constants["expert_parallel_overlap_fraction"],
        "offload": constants["offload_overlap_fraction"],
    }
    exposed, hidden = exposed_parts_s(communication_s=links, overlap=overlap, busy_s=busy)
    parts |= exposed
    micro: Number = sum(parts.values(), start=0.0 * busy)
    steps = run.micro_batches
    parts = {name: seconds * steps for name, seconds in parts.items()}
    parts["pipeline bubble"] = micro * steps * bubble_fraction(run=run, constants=constants)
    once, _ = exposed_parts_s(
        communication_s={"gradient synchronisation": sharding_step_s(run=run, constants=constants)},
        overlap={"gradient synchronisation": constants.of_stack("step_overlap_fraction", run.stack)},
        busy_s=busy - hidden,
    )
    parts |= once
    parts["optimizer"] = optimizer_s(run=run, constants=constants)
    working: Number = sum(parts.values(), start=0.0 * busy)
    parts["stragglers"] = working * straggler_fraction(run=run, constants=constants)
    return parts
