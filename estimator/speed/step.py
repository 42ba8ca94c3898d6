"""One optimizer step, put together from its parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
from estimator.speed.matmul import products_s, rate_flop_per_s
from estimator.speed.optimizer import accumulation_s, offload_s, optimizer_s
from estimator.speed.pipeline import bubble_fraction, stage_share
from estimator.speed.shapes import dense_sums, expert_sums, head_sums

#: Sharpness of the blend between device and host time; a plain maximum would be infinitely sharp, and real
#: runs close to the edge pay a little of both.
BLEND = 4.0

#: Stacks that run query, key and value, and gate and up, as one product each.
FUSES_PROJECTIONS = frozenset({"megatron", "llm-foundry", "internevo"})


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
        return Passes(matmul=1.0 + share, attention=1.0, elementwise=1.0 + share, launch=1.0 + share)
    return Passes(matmul=1.0, attention=1.0, elementwise=1.0, launch=1.0)


def device_parts_s(*, run: Run, constants: Constants) -> dict[str, Number]:
    """Device seconds of one micro-batch on the slowest pipeline stage, by kind of work."""
    arch, card = run.architecture, run.accelerator
    times = passes(run=run, constants=constants)
    narrow = rate_flop_per_s(run=run, constants=constants, low_precision=True)
    wide = rate_flop_per_s(run=run, constants=constants, low_precision=False)
    trained = 0.0 if run.adapters else 1.0
    tokens = run.micro_batch_tokens
    common = {
        "tp": run.tp,
        "bandwidth_bytes_per_s": card.memory_bytes_per_s,
        "wave_outputs": constants["matmul_idle_wave_outputs"],
        "operand_fraction": constants["matmul_operand_fraction"],
    }
    blocks = products_s(
        sums=dense_sums(arch, run.stack in FUSES_PROJECTIONS),
        tokens=tokens,
        ep=1.0,
        forward=times.matmul,
        input_gradient=1.0,
        weight_gradient=trained,
        rate=narrow,
        grouped=True,
        **common,
    )
    parts: dict[str, Number] = {"matrix products": blocks / run.pp}
    if arch.experts:
        experts = products_s(
            sums=expert_sums(arch, run.stack in FUSES_PROJECTIONS),
            tokens=tokens,
            ep=run.ep,
            forward=times.matmul,
            input_gradient=1.0,
            weight_gradient=trained,
            rate=narrow * constants.of_stack("expert_rate_fraction", run.stack),
            grouped=KERNEL_CLASS[run.stack] != "eager",
            **common,
        )
        parts["expert products"] = experts / run.pp
    blocks_only = {
        "attention": attention_s(run=run, constants=constants, forward=times.attention),
        "element-wise": elementwise_s(run=run, constants=constants, forward=times.elementwise),
        "casts": low_precision_cast_s(run=run, constants=constants, forward=times.matmul),
        "adapters": adapters_s(run=run, constants=constants, rate=wide, forward=times.matmul),
        "dequantisation": dequantise_s(run=run, constants=constants, passes=times.matmul + 1.0),
    }
    for name, seconds in blocks_only.items():
        parts[name] = seconds / run.pp
    share = stage_share(run=run, constants=constants)
    head = products_s(
        sums=head_sums(arch),
        tokens=tokens,
        ep=1.0,
        forward=1.0,
        input_gradient=1.0,
        weight_gradient=1.0 if not run.adapters or "head" in run.also_trained else 0.0,
        rate=wide,
        grouped=True,
        **common,
    )
    parts["vocabulary"] = (head + loss_s(run=run, constants=constants)) * share
    parts["gradient accumulation"] = accumulation_s(run=run, constants=constants)
    return parts


def overlapped_s(*, device_s: Number, host_s: Number) -> Number:
    """What the host's launching adds to device time: a smooth maximum, less the device time."""
    return (device_s**BLEND + host_s**BLEND) ** (1.0 / BLEND) - device_s


def exposed_parts_s(
    *, communication_s: dict[str, Number], overlap: dict[str, float], busy_s: Number
) -> tuple[dict[str, Number], Number]:
    """Exposed seconds of each communication, and the compute seconds they hid behind.

    Each may hide its overlap fraction; together they hide no longer than there is compute. What is hidden is
    shared among them in proportion, so a faster card or link never makes the sum longer.
    """
    wanted: Number = 0.0 * busy_s
    for name, seconds in communication_s.items():
        wanted = wanted + overlap[name] * seconds
    scale = np.minimum(busy_s / np.maximum(wanted, 1e-30), 1.0)
    parts = {name: seconds * (1.0 - overlap[name] * scale) for name, seconds in communication_s.items()}
    return parts, wanted * scale


def step_parts_s(*, run: Run, constants: Constants) -> dict[str, Number]:
    """Exposed seconds of one optimizer step of the whole job, by cause."""
    times = passes(run=run, constants=constants)
    parts = device_parts_s(run=run, constants=constants)
    device: Number = sum(parts.values(), start=0.0 * run.micro_batch)
    parts["kernel launch"] = overlapped_s(
        device_s=device, host_s=launch_s(run=run, constants=constants, forward=times.launch)
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
        "sharding": constants.of_stack("sharding_overlap_fraction", run.stack),
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
    nodes = np.maximum(run.gpus / run.accelerator.gpus_per_node, 1.0)
    parts["stragglers"] = working * constants["straggler_fraction_per_doubling"] * np.log2(nodes)
    return parts
