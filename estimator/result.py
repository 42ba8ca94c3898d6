"""What a plan answers: one object, from which every report is drawn. Nothing here computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from estimator.assumptions import Assumption
from estimator.scenario import Scenario, Workload

COUNTED_STYLES = ("tuned",)
"""Ways that "tuning" means: the model asked for, on replicas of its own or at a host. Beside them stand replicas
that sleep (cold starts) or are shared (others are needed), and closed models."""

REPLICA_LINES = ("GPU-hours of replicas", "bought cards with their servers, written off")
"""Lines of replicas of one's own, rented or bought."""

GROUPS = (
    "data",
    "pilot",
    "experiments",
    "training",
    "evaluation",
    "retrains",
    "serving",
    "upkeep",
    "people",
)
"""Cost groups, in the order in which reports show them."""

ArmKind = Literal["api", "ready-made", "hosted", "self-hosted"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number with its 10th, 50th and 90th percentile; ``base`` is the value at every base assumption."""

    base: float
    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, kw_only=True)
class PriceUsed:
    """A price that entered the answer."""

    what: str
    provider: str
    usd: float
    unit: str
    seen: date
    age_days: int
    source: str
    status: str


@dataclass(frozen=True, kw_only=True)
class TrainingOption:
    """One way to run the production training.

    Attributes:
        roles: why it is listed: cheapest, fastest, smallest (of its method).
        gpu, gpus, gpus_billed: card, cards used, cards paid for (whole instances).
        memory_parts_bytes: at the peak, per card; sums to ``allocated_bytes``.
        whole_experts_bytes: that peak where bitsandbytes leaves a mixture's experts unquantised, as under
            Transformers 5; 0 where it has nothing to leave.
        device_bytes, limit_bytes: what the card shows as used, and what it offers.
        fits: yes, likely, risky or no, with the probability.
        usd_per_gpu_hour_low, usd_per_gpu_hour_high: P10 and P90 of a quoted price; the price itself where it is
            firm, and where it is listed (what is paid of that is ``gpu_price_ratio``).
        loaded_bytes, checkpoint_bytes: weights read at the start, and the size of one checkpoint.
        machines: that the cards stand in; spot_machines: of these, may be interrupted; 0 on demand.
        hours, usd: one production run, start, validation, checkpoints and restarts included.
        run_parts_hours: hours of that run by part, at base values; they sum to ``hours.base``.
        step_parts_s: seconds of one optimizer step by cause.
        speed_low_factor, speed_high_factor: P10 and P90 of true over predicted speed.
    """

    method: str
    roles: tuple[str, ...]
    gpu: str
    gpu_label: str
    gpus: int
    gpus_billed: int
    provider: str
    region: str
    instance: str
    purchase: str
    usd_per_gpu_hour: float
    usd_per_gpu_hour_low: float
    usd_per_gpu_hour_high: float
    price_seen: date
    price_source: str
    price_status: str
    sharding: str
    micro_batch: int
    recompute: str
    compute_dtype: str
    quantization: str
    trainable_parameters: float
    memory_parts_bytes: Mapping[str, float]
    allocated_bytes: float
    whole_experts_bytes: float
    reserved_bytes: float
    device_bytes: float
    limit_bytes: float
    fits: str
    fits_probability: float
    tokens_per_s_per_gpu: float
    mfu: float
    step_s: float
    step_parts_s: Mapping[str, float]
    speed_low_factor: float
    speed_high_factor: float
    loaded_bytes: float
    checkpoint_bytes: float
    machines: int
    spot_machines: int
    hours: Estimate
    usd: Estimate
    run_parts_hours: Mapping[str, float]
    flop: float


@dataclass(frozen=True, kw_only=True)
class ServingOption:
    """One replica type for self-hosting, and how many the load needs.

    Attributes:
        batch: sequences in flight of a full replica, the most that memory, engine and latency limit allow.
        requests_per_s_per_replica, output_tokens_per_s_per_gpu, ttft_s, time_per_output_token_s: at that batch;
            the first token without waiting.
        binding: what decides the number of replicas: availability, load, or the limit on the first token.
        utilisation_fraction: mean load over what all replicas do at full batch.
        peak_load_fraction: the same in the busiest hour.
        waiting_p95_s, ttft_p50_s, ttft_p95_s, peak_time_per_output_token_s: what requests meet in that hour,
            where each replica gets its share of them at random.
        start_up_s: from the decision to start a replica to its first request.
    """

    gpu: str
    gpu_label: str
    gpus_per_replica: int
    weights_dtype: str
    batch: int
    provider: str
    region: str
    instance: str
    usd_per_gpu_hour: float
    usd_per_gpu_hour_low: float
    usd_per_gpu_hour_high: float
    price_seen: date
    price_source: str
    price_status: str
    requests_per_s_per_replica: float
    output_tokens_per_s_per_gpu: float
    ttft_s: float
    time_per_output_token_s: float
    replicas: int
    binding: str
    utilisation_fraction: float
    peak_load_fraction: float
    waiting_p95_s: float
    ttft_p50_s: float
    ttft_p95_s: float
    peak_time_per_output_token_s: float
    start_up_s: float


@dataclass(frozen=True, kw_only=True)
class LineResult:
    """One cost line of one arm at base assumptions: quantity x unit price, month by month (0 = build).

    ``quantity_formula`` and ``unit_price_formula`` are the spreadsheet expressions over named parameters and
    ``month``; ``parameters`` are the names in them.
    """

    group: str
    name: str
    timing: str
    unit: str
    quantity: tuple[float, ...]
    unit_price_usd: tuple[float, ...]
    usd: tuple[float, ...]
    total_usd: float
    quantity_formula: str
    unit_price_formula: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class BreakEven:
    """Requests a day at which tuning and a rival cost the same over the horizon.

    Attributes:
        rival: id of the API arm.
        crossings_per_day: every volume at which the cheaper side changes, ascending.
        lowest_per_day: the first, or None for never.
        always_above_per_day: the volume above which tuning always wins in the range searched, or None.
        low_per_day, median_per_day, high_per_day: P10, P50 and P90 of the lowest crossing over the draws; None
            where never.
        never_probability: share of draws in which tuning never wins within the range searched.
        searched_per_day: smallest and largest volume searched.
    """

    rival: str
    crossings_per_day: tuple[float, ...]
    lowest_per_day: float | None
    always_above_per_day: float | None
    low_per_day: float | None
    median_per_day: float | None
    high_per_day: float | None
    never_probability: float
    searched_per_day: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class RetrainCase:
    """One retrain interval of the best way of tuning, at base assumptions over the horizon.

    Attributes:
        retrains: how many fall into the horizon (none in its last month).
        lowest_quality_fraction: left just before a retrain, or at the end where there is none.
        mean_quality_lost_fraction: missing on average over the horizon.
        quality_lost_usd: what the quality missing is worth over the horizon; None where it has no price.
        planned: the interval that the totals are computed with.
    """

    label: str
    interval_months: float
    retrains: float
    retrain_usd: float
    lowest_quality_fraction: float
    mean_quality_lost_fraction: float
    quality_lost_usd: float | None
    planned: bool


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to do the task, with what it costs to own.

    ``probability_cheapest`` is the share of draws in which no other way costs less; ``expected_regret_usd`` what
    choosing this way costs on average above the cheapest one of each draw: the most that knowing every
    assumption exactly would be worth.
    """

    id: str
    label: str
    kind: ArmKind
    style: str
    training: TrainingOption | None
    serving: ServingOption | None
    parameters: tuple[Assumption, ...]
    lines: tuple[LineResult, ...]
    monthly_usd: tuple[float, ...]
    groups_usd: Mapping[str, float]
    total_usd: Estimate
    npv_usd: Estimate
    usd_per_1000_requests: float
    build_usd: float
    retrain_usd: float
    probability_cheapest: float
    expected_regret_usd: float
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """What one assumption moves: the cost of an arm less its rival's, at the assumption's P10 and P90."""

    name: str
    label: str
    unit: str
    low: float
    high: float
    usd_at_low: float
    usd_at_high: float

    @property
    def swing_usd(self) -> float:
        """Distance between the two ends."""
        return abs(self.usd_at_high - self.usd_at_low)


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One rule that fired: what to do, why, what would change it, and the factor of the source articles."""

    rule: str
    text: str
    because: str
    changes: str
    factor: str

    @property
    def whole(self) -> str:
        """All of it as people read it."""
        return f"{self.text} {self.because} This changes if {self.changes}."


@dataclass(frozen=True, kw_only=True)
class RuledOut:
    """Something that was considered and dropped."""

    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer in words: which arm, at what cost, why, and what would flip it."""

    arm: str
    headline: str
    reasons: tuple[str, ...]
    flips: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """The model that was resolved."""

    id: str
    how: str
    parameters: int
    active_parameters: int
    layers: int
    hidden: int
    vocab: int
    license: str
    commercial_use: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that a report shows."""

    version: str
    command: str
    scenario: Scenario
    scenario_hash: str
    model: ModelSummary
    workload: Workload
    training_options: tuple[TrainingOption, ...]
    serving_options: tuple[ServingOption, ...]
    arms: tuple[Arm, ...]
    verdict: Verdict
    best_tuned: str
    best_rival: str
    break_evens: tuple[BreakEven, ...]
    payback_month: int | None
    retraining: tuple[RetrainCase, ...]
    sensitivities: tuple[Sensitivity, ...]
    advice: tuple[Advice, ...]
    ruled_out: tuple[RuledOut, ...]
    prices: tuple[PriceUsed, ...]
    defaults_used: tuple[str, ...]
    not_included: tuple[str, ...]
    next_commands: tuple[str, ...]
    search_candidates: int

    def arm(self, arm_id: str) -> Arm:
        """The arm of that id."""
        return next(arm for arm in self.arms if arm.id == arm_id)
