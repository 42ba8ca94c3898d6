"""The search over ways to train: method x sharding x recompute x card x count x micro-batch, in array passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.accelerators import AcceleratorRecord, stack_accelerators
from estimator.architecture import Architecture
from estimator.errors import NothingFitsError
from estimator.flop import micro_batch_matmul_flop
from estimator.memory import fits_word, memory, with_whole_experts
from estimator.money.tuning_costs import run_hours, run_parts_s
from estimator.numbers import SECONDS_PER_HOUR, Array, Number
from estimator.parameters import check_targets, total_parameters, trainable_parameters
from estimator.result import TrainingOption
from estimator.risk import draw, estimate, model_error, quoted_price
from estimator.run import DTYPE_BYTES, Method, Recompute, Run, Sharding
from estimator.scenario import Scenario, Workload
from estimator.search.market import Market, billed_gpus, is_listed
from estimator.speed import speed
from estimator.stack_defaults import stack_defaults

COUNTS = (1, 2, 4, 8, 16, 32, 64)
MICRO_BATCHES = (1, 2, 4, 8, 16, 32)
ROLES = ("cheapest", "fastest", "smallest")

DRAWN = (
    "job_start_s",
    "job_warm_up_s",
    "storage_read_bytes_per_s",
    "storage_write_bytes_per_s",
    "checkpoints_per_epoch",
    "evaluation_rows",
    "spot_interruptions_per_hour",
    "gpu_price_ratio",
)
"""Assumptions that spread the hours and dollars of one run, beside the error of the speed model."""

CHECKPOINT_BYTES_PER_TRAINED = 6.0
"""Weights and two moments in 16 bit."""

FASTER_MATTERS_FRACTION = 0.1
"""Times closer than this count as equally fast: the cheapest of them is named."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """Candidates that share their categories: one run whose numbers are arrays, and what it costs.

    Axes: accelerators, counts, micro-batches. ``usd_per_hour`` and ``offer_index`` (accelerators, counts) are of
    the cheapest way to rent so many.
    """

    run: Run
    records: tuple[AcceleratorRecord, ...]
    counts: Array
    micro_batches: Array
    usd_per_hour: Array
    offer_index: NDArray[np.int64]
    hours: Array
    usd: Array
    allowed: NDArray[np.bool_]
    device_bytes: Array
    fits_probability: Array


@dataclass(frozen=True, kw_only=True)
class Found:
    """One candidate picked from a block."""

    block: Block
    index: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """Options by method and role, what does not fit, and how many candidates were looked at."""

    options: tuple[TrainingOption, ...]
    nearest: Mapping[Method, Found]
    candidates: int


def search(*, scenario: Scenario, architecture: Architecture, workload: Workload, market: Market) -> SearchResult:
    """The cheapest, fastest and smallest way that fits, for each method.

    A candidate fits where the probability that the device holds it reaches ``fit_probability_needed``; budget
    and deadline rule out the rest. Ties go to fewer cards, then to the first in the catalogue.
    """
    needed = scenario.assumptions["fit_probability_needed"]
    _check_batch(scenario)
    if set(scenario.methods) != {"full"}:
        check_targets(architecture=architecture, targets=scenario.lora_targets)
    rows = [scenario.assumptions.row(name) for name in DRAWN]
    shared = draw(rows, draws=scenario.draws, seed=scenario.seed)
    options: list[TrainingOption] = []
    nearest: dict[Method, Found] = {}
    candidates = 0
    hourly = {counts: market.cheapest(counts) for counts in dict(_shardings(scenario)).values()}
    for method in scenario.methods:
        blocks = list(_blocks(scenario, architecture, workload, market, method, hourly))
        candidates += sum(block.usd.size for block in blocks)
        found = {role: _best(blocks, role, needed, scenario) for role in ROLES}
        if found["cheapest"] is None:
            nearest[method] = _nearest(blocks)
            continue
        by_index: dict[tuple[int, tuple[int, int, int]], list[str]] = {}
        picked: dict[tuple[int, tuple[int, int, int]], Found] = {}
        for role, one in found.items():
            if one is not None:
                key = id(one.block), one.index
                by_index.setdefault(key, []).append(role)
                picked[key] = one
        options += [
            _option(scenario, workload, market, picked[key], tuple(roles), shared)
            for key, roles in by_index.items()
        ]
    return SearchResult(options=tuple(options), nearest=nearest, candidates=candidates)


def _check_batch(scenario: Scenario) -> None:
    """A fixed number of cards or a fixed micro-batch must share the global batch evenly.

    Raises:
        NothingFitsError: the sequences of a step are no multiple of what the cards take at once.
    """
    cards = scenario.gpu_count or 1
    least = cards * (scenario.micro_batch or 1)
    batch = scenario.assumptions["global_batch"]
    if least > batch:
        raise NothingFitsError(
            f"nothing fits: {cards} {'card' if cards == 1 else 'cards'} x micro-batch {scenario.micro_batch or 1}"
            f" take {least:,} sequences at once, more than --global-batch {batch:g}. Use --global-batch {least} or"
            " more, or fewer cards."
        )
    if batch % least:
        raise NothingFitsError(
            f"nothing fits: {cards} {'card' if cards == 1 else 'cards'} x micro-batch {scenario.micro_batch or 1}"
            f" take {least:,} sequences at once, which does not divide --global-batch {batch:g}. Use a multiple of"
            f" {least}."
        )


def _blocks(
    scenario: Scenario,
    architecture: Architecture,
    workload: Workload,
    market: Market,
    method: Method,
    hourly: Mapping[tuple[int, ...], tuple[Array, NDArray[np.int64]]],
) -> Iterator[Block]:
    recomputes: Sequence[Recompute] = (scenario.recompute,) if scenario.recompute else ("none", "full")
    with_bf16 = [float(record.accelerator.bf16_flop_per_s) > 0 for record in market.records]
    for has_bf16 in (True, False):
        indices = [index for index, bf16 in enumerate(with_bf16) if bf16 == has_bf16]
        if not indices:
            continue
        for sharding, counts in _shardings(scenario):
            every_usd, every_offer = hourly[counts]
            for recompute in recomputes:
                yield _block(
                    scenario,
                    architecture,
                    workload,
                    market,
                    method,
                    indices,
                    has_bf16,
                    sharding,
                    counts,
                    recompute,
                    every_usd[indices],
                    every_offer[indices],
                )


def _shardings(scenario: Scenario) -> list[tuple[Sharding, tuple[int, ...]]]:
    counts = (scenario.gpu_count,) if scenario.gpu_count else COUNTS
    if scenario.sharding:
        kept = tuple(c for c in counts if (c == 1) == (scenario.sharding == "none")) or counts
        return [(scenario.sharding, kept)]
    several = tuple(count for count in counts if count > 1)
    found: list[tuple[Sharding, tuple[int, ...]]] = []
    if 1 in counts:
        found.append(("none", (1,)))
    if several:
        found += [("ddp", several), ("fsdp", several)]
    return found


def _block(
    scenario: Scenario,
    architecture: Architecture,
    workload: Workload,
    market: Market,
    method: Method,
    indices: Sequence[int],
    has_bf16: bool,
    sharding: Sharding,
    counts: tuple[int, ...],
    recompute: Recompute,
    usd_per_hour: Array,
    offer_index: NDArray[np.int64],
) -> Block:
    values = scenario.assumptions
    records = tuple(market.records[index] for index in indices)
    micro = np.array([scenario.micro_batch] if scenario.micro_batch else MICRO_BATCHES, dtype=float)
    gpus = np.array(counts, dtype=float)
    usual = stack_defaults(
        stack=scenario.stack,
        method=method,
        gpus=float(counts[0]),
        sharding=sharding,
        quantization=scenario.quantization,
    )
    run = Run(
        architecture=architecture,
        accelerator=stack_accelerators(records),
        method=method,
        quantization=scenario.quantization if method == "qlora" else "",
        weights_dtype="fp32" if usual["weights_dtype"] == "fp32" else "bf16" if has_bf16 else "fp16",
        compute_dtype="bf16" if has_bf16 else "fp16",
        autocast=usual["autocast"] == "yes",
        optimizer=scenario.optimizer,
        lora_rank=values["lora_rank"],
        lora_targets=scenario.lora_targets if method != "full" else (),
        gpus=gpus[None, :, None],
        sharding=sharding,
        micro_batch=micro[None, None, :],
        global_batch=values["global_batch"],
        seq_len=values["seq_len"],
        packed=scenario.packing,
        recompute=recompute,
        attention=scenario.attention,
        stack=scenario.stack,
        loss=scenario.loss,
    )
    shape = (len(records), len(gpus), len(micro))
    held = memory(run=run, constants=values)
    rate = speed(run=run.with_(seq_len=workload.mean_seq_len), constants=values).tokens_per_s_per_gpu
    machines = np.ceil(gpus / market.machine_gpus[offer_index])
    x = _run_values(scenario, workload, run, rate, machines[:, :, None])
    hours = np.asarray(run_hours(x, rows=values["rows"], epochs=values["epochs"]))
    whole_batch = values["global_batch"] % (run.micro_batch * run.gpus) == 0.0
    return Block(
        run=run,
        records=records,
        counts=gpus,
        micro_batches=micro,
        usd_per_hour=usd_per_hour,
        offer_index=offer_index,
        hours=np.broadcast_to(hours, shape),
        usd=np.broadcast_to(hours * usd_per_hour[:, :, None], shape),
        allowed=np.broadcast_to(whole_batch & np.isfinite(usd_per_hour)[:, :, None], shape),
        device_bytes=np.broadcast_to(held.device_bytes, shape),
        fits_probability=np.broadcast_to(held.fits_probability, shape),
    )


def _kept(block: Block, needed: float, scenario: Scenario) -> NDArray[np.bool_]:
    """Candidates that fit their cards and keep within budget and deadline."""
    kept = block.allowed & (block.fits_probability >= needed)
    if scenario.budget_usd is not None:
        kept = kept & (block.usd <= scenario.budget_usd)
    if scenario.deadline_hours is not None:
        kept = kept & (block.hours <= scenario.deadline_hours)
    return np.asarray(kept)


def _best(blocks: Sequence[Block], role: str, needed: float, scenario: Scenario) -> Found | None:
    """The first candidate in the order of the role; the fastest is the cheapest of those nearly as fast."""
    masks = [_kept(block, needed, scenario) for block in blocks]
    times = [block.hours[mask].min() for block, mask in zip(blocks, masks, strict=True) if mask.any()]
    if not times:
        return None
    within = (1 + FASTER_MATTERS_FRACTION) * min(times)
    best: tuple[tuple[float, ...], Found] | None = None
    for block, mask in zip(blocks, masks, strict=True):
        kept = mask & (block.hours <= within) if role == "fastest" else mask
        if not kept.any():
            continue
        cards = np.broadcast_to(block.counts[None, :, None], block.usd.shape)
        bytes_all = cards * np.broadcast_to(block.run.accelerator.memory_bytes, block.usd.shape)
        order = {
            "cheapest": (block.usd, cards, block.hours),
            "fastest": (block.usd, block.hours, cards),
            "smallest": (cards, bytes_all, block.usd),
        }[role]
        rows = np.flatnonzero(kept)
        keys = [np.ravel(values)[rows] for values in order]
        first = rows[np.lexsort(keys[::-1])[0]]
        index = tuple(int(i) for i in np.unravel_index(first, block.usd.shape))
        key = tuple(float(values[index]) for values in order)
        if best is None or key < best[0]:
            best = key, Found(block=block, index=(index[0], index[1], index[2]))
    return best[1] if best else None


def _nearest(blocks: Sequence[Block]) -> Found:
    """The candidate that misses its card by the smallest ratio."""
    best: tuple[float, Found] | None = None
    for block in blocks:
        limit = np.broadcast_to(block.run.accelerator.memory_bytes, block.usd.shape)
        over = np.where(block.allowed, block.device_bytes / limit, np.inf)
        flat = int(np.argmin(over))
        index = tuple(int(i) for i in np.unravel_index(flat, over.shape))
        if best is None or over[index] < best[0]:
            best = float(over[index]), Found(block=block, index=(index[0], index[1], index[2]))
    assert best is not None
    return best[1]


def run_of(found: Found) -> Run:
    """The one run behind a candidate, with plain floats."""
    g, c, m = found.index
    block = found.block
    return block.run.with_(
        accelerator=block.records[g].accelerator,
        gpus=float(block.counts[c]),
        micro_batch=float(block.micro_batches[m]),
        lora_rank=float(block.run.lora_rank),
    )


def _option(
    scenario: Scenario,
    workload: Workload,
    market: Market,
    found: Found,
    roles: tuple[str, ...],
    shared: Mapping[str, Array],
) -> TrainingOption:
    """Everything about one candidate, worked out again as a single run."""
    values = scenario.assumptions
    run = run_of(found)
    block, (card, place, _) = found.block, found.index
    record = block.records[card]
    count = int(block.counts[place])
    offer = market.offers[block.offer_index[card, place]]
    price = float(market.usd_per_gpu_hour[block.offer_index[card, place]])
    held = memory(run=run, constants=values)
    whole = with_whole_experts(run=run, constants=values)
    moving = run.with_(seq_len=workload.mean_seq_len)
    going = speed(run=moving, constants=values)
    hourly = float(block.usd_per_hour[card, place])
    machines = -(-count // offer.max_gpus)
    x = _run_values(scenario, workload, run, float(going.tokens_per_s_per_gpu), float(machines))
    factors = float(going.low_factor), float(going.high_factor)
    own = draw([model_error("speed_ratio", factors)], draws=scenario.draws, seed=scenario.seed)
    size = {"rows": values["rows"], "epochs": values["epochs"]}
    base_hours = float(run_hours(x, **size))
    drawn_hours = run_hours({**x, **shared, **own}, **size)
    low, high = offer.low_usd_per_gpu_hour or price, offer.high_usd_per_gpu_hour or price
    if is_listed(offer.provider):
        ratio, drawn_ratio = values["gpu_price_ratio"], shared["gpu_price_ratio"]
    else:
        quote = quoted_price("train_usd_per_gpu_hour", low=low, base=price, high=high, unit="USD/GPU-hour")
        ratio, drawn_ratio = 1.0, draw([quote], draws=scenario.draws, seed=scenario.seed)[quote.name] / price
    base_usd = base_hours * hourly * ratio
    parts = run_parts_s(x, **size)
    flop_per_token = float(micro_batch_matmul_flop(run=moving)) / (
        float(moving.micro_batch) * float(moving.seq_len)
    )
    return TrainingOption(
        method=run.method,
        roles=roles,
        gpu=record.id,
        gpu_label=record.label,
        gpus=count,
        gpus_billed=int(billed_gpus(gpus=np.array(float(count)), instance_gpus=np.array(float(offer.gpus)))),
        provider=offer.provider,
        region=offer.region,
        instance=offer.instance,
        purchase=scenario.purchase,
        usd_per_gpu_hour=price,
        usd_per_gpu_hour_low=low,
        usd_per_gpu_hour_high=high,
        price_seen=offer.seen,
        price_source=offer.source,
        price_status=offer.status,
        sharding=run.sharding,
        micro_batch=int(float(run.micro_batch)),
        recompute=run.recompute,
        compute_dtype=run.compute_dtype,
        quantization=run.quantization,
        trainable_parameters=float(trainable_parameters(run=run)),
        memory_parts_bytes={name: float(part) for name, part in held.parts_bytes.items()},
        allocated_bytes=float(held.allocated_bytes),
        whole_experts_bytes=float(whole.allocated_bytes) if whole else 0.0,
        reserved_bytes=float(held.reserved_bytes),
        device_bytes=float(held.device_bytes),
        limit_bytes=float(held.limit_bytes),
        fits=fits_word(float(held.fits_probability)),
        fits_probability=float(held.fits_probability),
        tokens_per_s_per_gpu=float(going.tokens_per_s_per_gpu),
        mfu=float(going.mfu),
        step_s=float(going.step_s),
        step_parts_s={name: float(part) for name, part in going.parts_s.items()},
        speed_low_factor=float(going.low_factor),
        speed_high_factor=float(going.high_factor),
        loaded_bytes=x["loaded_bytes"],
        checkpoint_bytes=float(x["checkpoint_bytes"]),
        machines=int(x["train_machines"]),
        spot_machines=int(x.get("train_spot_machines", 0)),
        hours=estimate(base_hours, drawn_hours),
        usd=estimate(base_usd, drawn_hours * hourly * drawn_ratio),
        run_parts_hours={name: float(part) / SECONDS_PER_HOUR for name, part in parts.items()},
        flop=flop_per_token * workload.processed_tokens,
    )


def _run_values(
    scenario: Scenario, workload: Workload, run: Run, tokens_per_s_per_gpu: Number, machines: Number
) -> dict[str, Any]:
    """What the formula of a run's hours reads, for one run or a block of them."""
    interrupted = {"train_spot_machines": machines} if scenario.purchase == "spot" else {}
    return {
        **scenario.assumptions.base,
        **interrupted,
        "train_tokens_per_s_per_gpu": tokens_per_s_per_gpu,
        "speed_ratio": 1.0,
        "train_gpus": run.gpus,
        "train_machines": machines,
        "processed_per_useful_token": workload.processed_tokens / workload.useful_tokens,
        "loaded_bytes": total_parameters(architecture=run.architecture) * DTYPE_BYTES["bf16"],
        "checkpoint_bytes": trainable_parameters(run=run) * CHECKPOINT_BYTES_PER_TRAINED,
    }
