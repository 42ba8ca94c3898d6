"""What the user asked: a model, categories that were fixed or left open, and the assumptions in force."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Literal

from estimator.assumptions import Assumptions, shipped
from estimator.errors import InputError
from estimator.run import Attention, Loss, Method, Optimizer, Quantization, Recompute, Sharding, Stack
from estimator.serving.setup import Engine, ServedDtype

Purchase = Literal["on-demand", "spot"]
Task = Literal["", "classification", "generation", "complex"]
Goal = Literal["form", "facts"]
Retraining = Literal["scratch", "incremental"]
Circumstance = Literal[
    "prompt-tuned",
    "unaudited-data",
    "proprietary-language",
    "unproven-model",
    "ready-made-model",
    "many-tasks",
    "sensitive-decisions",
    "regulated",
    "no-experts",
]
Cpu = Literal["also", "only", "none"]

WORKLOAD_FLAGS = (
    "rows",
    "tokens_per_row",
    "epochs",
    "seq_len",
    "global_batch",
    "lora_rank",
    "requests_per_day",
    "input_tokens",
    "output_tokens",
    "few_shot_tokens",
    "context_tokens",
    "horizon_months",
    "retrain_every_months",
    "experiments",
)
"""Assumptions that have a flag of their own."""


def flag_name(assumption: str) -> str:
    """The flag of a workload assumption, without its dashes."""
    return "retrain-every" if assumption == "retrain_every_months" else assumption.replace("_", "-")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question. None or an empty tuple leaves a choice to the search.

    Attributes:
        model: what the user typed: a size, a name, a hub id or a path to a config.json.
        assumptions: the registry with every value that the user set, workload included.
        methods: methods to consider.
        gpus: accelerator ids to consider; gpu_count fixes how many.
        providers, regions: where to rent.
        gpu_prices: (accelerator, USD per GPU-hour) that the user has been quoted; nobody else's price of that
            accelerator counts then, and it holds for all months.
        gpu_price_ranges: (accelerator, P10, P90 in USD per GPU-hour) of quoted prices that are not firm.
        marketplaces: also rent on marketplaces (hosts that are strangers' machines).
        purchase: on-demand or spot prices.
        baselines: API models to compare with, as provider/model; empty for one per price tier.
        budget_usd, deadline_hours: limits of one production run's cost and time.
        latency_ms, ttft_ms: limits of a self-hosted replica: per output token at its full batch, and to the
            first one at P95 in the busiest hour, waiting included.
        hourly_load: load of each hour over the mean, of a repeating cycle; empty for a day-night curve.
        engine: inference engine of self-hosted replicas.
        served_dtype: stored type of the weights of self-hosted replicas; None for 16 bit, or fp8 where the card
            multiplies in it.
        cpu: whether machines without accelerators may serve small models too, alone, or not at all; None for not
            at all in a plan (an answer takes a minute or more), and for too where only serving is asked about and
            no accelerator is named.
        no_api: nothing leaves for a vendor's model or service (privacy, regulation).
        commercial: the model's licence must allow commercial use.
        task, classes: what the rows teach, for the verdict on how many are enough.
        goal: form (style, format, a narrow task) or facts (knowledge that the model lacks).
        given: what else is true of the case, for the advice: the prompt has been tuned and measured; the rows are
            scraped or were never checked; the model hardly knows the language; the base model is unproven for the
            task; a published fine-tune does the task; several tasks are to be tuned; answers decide on hiring,
            credit or health; rules or contracts restrict where data goes; nobody in the team has tuned a model.
        data_changes_every_days: how often the facts in question change; None for not said.
        retraining: from scratch on the grown set, or incremental on new rows with replayed old ones.
        quality_value_usd_per_month: what the whole of the quality is worth; sets the retrain interval unless the
            user has set it.
        as_of: the day whose prices hold.
        seed, draws: of the uncertainty.
        Others: as in ``Run``.
    """

    model: str
    assumptions: Assumptions = field(default_factory=shipped)
    methods: tuple[Method, ...] = ("full", "lora", "qlora")
    gpus: tuple[str, ...] = ()
    gpu_count: int | None = None
    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    gpu_prices: tuple[tuple[str, float], ...] = ()
    gpu_price_ranges: tuple[tuple[str, float, float], ...] = ()
    marketplaces: bool = False
    purchase: Purchase = "on-demand"
    packing: bool = True
    lora_targets: tuple[str, ...] = ("q", "k", "v", "o", "gate", "up", "down")
    quantization: Quantization = "nf4-double"
    micro_batch: int | None = None
    recompute: Recompute | None = None
    optimizer: Optimizer = "adamw-fused"
    sharding: Sharding | None = None
    attention: Attention = "flash"
    stack: Stack = "hf"
    loss: Loss = "full"
    baselines: tuple[str, ...] = ()
    budget_usd: float | None = None
    deadline_hours: float | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    hourly_load: tuple[float, ...] = ()
    engine: Engine = "vllm"
    served_dtype: ServedDtype | None = None
    cpu: Cpu | None = None
    no_api: bool = False
    commercial: bool = False
    task: Task = ""
    classes: int | None = None
    goal: Goal = "form"
    given: tuple[Circumstance, ...] = ()
    data_changes_every_days: float | None = None
    retraining: Retraining = "scratch"
    quality_value_usd_per_month: float | None = None
    as_of: date
    seed: int = 0
    draws: int = 10_000

    def __post_init__(self) -> None:
        """Refuse a horizon that is not a whole number of months.

        Raises:
            InputError: with the nearest whole number.
        """
        months = self.assumptions["horizon_months"]
        if months != round(months):
            raise InputError(f"horizon_months = {months:g} is not whole. The nearest is {round(months)}.")

    @property
    def hash(self) -> str:
        """Eight hex digits (CRC-32) that change with anything that can change the answer."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "assumptions"}
        plain["assumptions"] = {row.name: [row.low, row.base, row.high] for row in self.assumptions.rows}
        text = json.dumps(plain, sort_keys=True, default=str)
        return f"{zlib.crc32(text.encode()):08x}"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The tokens of one production run.

    Attributes:
        tokens_per_row: after cutting at the sequence length.
        useful_tokens: rows x epochs x tokens per row.
        processed_tokens: what the accelerators see, padding or packing waste included.
        mean_seq_len: tokens per sequence of an average micro-batch (memory is sized for the longest).
        optimizer_steps: of the whole run.
        truncated: rows are cut, because their mean exceeds the sequence length.
    """

    tokens_per_row: float
    useful_tokens: float
    processed_tokens: float
    mean_seq_len: float
    optimizer_steps: float
    truncated: bool


def workload(*, scenario: Scenario) -> Workload:
    """Tokens and steps of one production run.

    With packing, sequences are full and ``packing_fraction`` of them is useful. Without, each row is padded to
    ``padding_ratio`` times the mean row, at most the sequence length. Source: derived.
    """
    values = scenario.assumptions
    seq_len = values["seq_len"]
    kept = min(values["tokens_per_row"], seq_len)
    padded = (
        kept / values["packing_fraction"] if scenario.packing else min(kept * values["padding_ratio"], seq_len)
    )
    passes = values["rows"] * values["epochs"]
    mean_seq_len = seq_len if scenario.packing else padded
    return Workload(
        tokens_per_row=kept,
        useful_tokens=passes * kept,
        processed_tokens=passes * padded,
        mean_seq_len=mean_seq_len,
        optimizer_steps=max(passes * padded / (mean_seq_len * values["global_batch"]), 1.0),
        truncated=values["tokens_per_row"] > seq_len,
    )
