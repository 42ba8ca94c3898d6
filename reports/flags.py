"""Flags turned into a scenario or a run; every bad value is refused with what is allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, get_args

from estimator.assumptions import Assumptions, shipped
from estimator.errors import InputError, UnknownNameError
from estimator.money.derived import with_judge, with_quality_floor, with_teacher
from estimator.run import choice, lora_roles
from estimator.scenario import Circumstance, Cpu, Scenario, Task
from estimator.serving.setup import Engine, ServedDtype
from pricing import newest_price_day
from reports.traffic import with_traffic

MAX_GPUS = 65_536
MAX_MICRO_BATCH = 65_536
MAX_SEED = 2**32 - 1
MAX_CLASSES = 1_000_000
LEAST_GPU_USD, MOST_GPU_USD = 0.001, 1000.0
MIN_DRAWS, MAX_DRAWS = 16, 1_000_000
TASKS = ("classification", "generation", "complex")
GOALS = ("form", "facts")
RETRAININGS = ("scratch", "incremental")
CIRCUMSTANCES = get_args(Circumstance)

WORKLOAD = {
    "rows": "rows",
    "tokens_per_row": "tokens_per_row",
    "epochs": "epochs",
    "seq_len": "seq_len",
    "global_batch": "global_batch",
    "lora_rank": "lora_rank",
    "requests_per_day": "requests_per_day",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "few_shot_tokens": "few_shot_tokens",
    "context_tokens": "context_tokens",
    "horizon_months": "horizon_months",
    "retrain_every": "retrain_every_months",
    "experiments": "experiments",
    "prefix_cached_fraction": "prefix_cached_fraction",
    "draft_tokens": "draft_tokens",
    "draft_acceptance": "draft_acceptance_fraction",
}
"""Flags of ``plan`` that set an assumption."""

SERVED = (
    "requests_per_day",
    "input_tokens",
    "output_tokens",
    "prefix_cached_fraction",
    "draft_tokens",
    "draft_acceptance",
)
"""Those of them that ``serve-plan`` has."""

ENGINES = tuple(name for name in get_args(Engine) if name != "vllm-0.6")

CATEGORIES = ("quantization", "recompute", "optimizer", "sharding", "stack", "loss")
"""Flags of ``plan`` that fix a category of every run."""


def parse_day(text: str | None, *, flag: str) -> date | None:
    """An ISO date.

    Raises:
        InputError: not a date.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{flag} {text!r} is not a date. Write it as 2026-11-21.") from None


def price_day(text: str | None) -> date:
    """The day of --as-of, or of the newest price."""
    return parse_day(text, flag="--as-of") or newest_price_day()


def parse_settings(texts: Iterable[str]) -> dict[str, float]:
    """``name=value`` pairs of --set.

    Raises:
        InputError: no equals sign, not a number, or one name given twice.
    """
    values: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--set {text!r} lacks a name or a value. Write --set name=value.")
        if name in values:
            raise InputError(f"--set {name} is given twice. Keep one.")
        try:
            values[name] = float(number)
        except ValueError:
            raise InputError(f"--set {name}: {number!r} is not a number.") from None
    return values


def gpu_prices(texts: Iterable[str]) -> dict[str, Any]:
    """Prices and ranges of a scenario from ``GPU=USD`` or ``GPU=LOW:USD:HIGH`` of --gpu-price.

    Raises:
        InputError: no equals sign, a price that is none, or a range that is none.
    """
    prices, ranges = [], []
    for text in texts:
        name, equals, usd = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(
                f"--gpu-price {text!r} lacks a card or a price. Write --gpu-price h100-80gb-sxm=2.10."
            )
        numbers = [_gpu_usd(name, part) for part in usd.split(":")]
        if len(numbers) not in (1, 3) or numbers != sorted(numbers):
            raise InputError(
                f"--gpu-price {name}: {usd!r} is neither a price nor a range. Write {name}=2.10 for a firm price,"
                f" or {name}=1.90:2.10:2.50 for its P10, base and P90, in rising order."
            )
        prices.append((name, numbers[len(numbers) // 2]))
        if len(numbers) > 1:
            ranges.append((name, numbers[0], numbers[-1]))
    return {"gpu_prices": tuple(prices), "gpu_price_ranges": tuple(ranges)}


def _gpu_usd(name: str, text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        raise InputError(f"--gpu-price {name}: {text!r} is not a number.") from None
    if not LEAST_GPU_USD <= price <= MOST_GPU_USD:
        raise InputError(
            f"--gpu-price {name}: {price:g} is outside {LEAST_GPU_USD:g} to {MOST_GPU_USD:g} USD per GPU-hour."
        )
    return price


def registry(profile: str | None) -> Assumptions:
    """The shipped registry, with the factors of a profile where one is named.

    Raises:
        UnknownNameError, InputError: no such profile, or a file that is none.
    """
    if profile is None:
        return shipped()
    from estimator.profiles import read_profile, with_profile

    return with_profile(shipped(), read_profile(profile))


def assumptions_with(
    workload: Mapping[str, float | None],
    settings: Iterable[str],
    *,
    profile: str | None = None,
    own: bool = False,
) -> Assumptions:
    """The registry with a profile, the workload flags and the --set pairs in it.

    Args:
        own: hardware is bought: what that costs is in the registry too.

    Raises:
        UnknownNameError, InputError: a name or value that the registry refuses, or a number given both ways.
    """
    flagged = {name: value for name, value in workload.items() if value is not None}
    pairs = parse_settings(settings)
    for name in pairs:
        if name in flagged:
            raise InputError(f"{name} is given by its flag and by --set. Keep one.")
    known = registry(profile)
    if own:
        from estimator.money.owned import with_own_hardware

        known = with_own_hardware(known)
    return known.setting(flagged | pairs)


def whole(value: int | None, *, flag: str, low: int, high: int) -> int | None:
    """A whole number in its range, or None where not given."""
    if value is not None and not low <= value <= high:
        raise InputError(f"{flag} {value} is outside {low:,} to {high:,}.")
    return value


def positive(value: float | None, *, flag: str) -> float | None:
    """A finite number above zero, or None where not given."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(f"{flag} {value:g} is not a finite number above 0.")
    return value


def serving_scenario(given: Mapping[str, Any]) -> Scenario:
    """A scenario in which only serving is asked about, from the flags of ``ftcost serve-plan``.

    Raises:
        InputError: with the flag, what is allowed and the closest names.
    """
    workload = {WORKLOAD[flag]: given[flag] for flag in SERVED}
    own = "own" in given["provider"]
    values = assumptions_with(workload, given["settings"], profile=given["profile"], own=own)
    values, load = with_traffic(values, given)
    return Scenario(
        model=given["model"],
        assumptions=values,
        hourly_load=load,
        gpus=tuple(dict.fromkeys(given["gpu"])),
        providers=given["provider"],
        regions=given["region"],
        **gpu_prices(given["gpu_price"]),
        marketplaces=given["marketplaces"],
        purchase="spot" if given["spot"] else "on-demand",
        as_of=price_day(given["as_of"]),
        **_served(given),
    )


def _served(given: Mapping[str, Any]) -> dict[str, Any]:
    """How replicas serve, and within which limits."""
    chosen: dict[str, Any] = {
        "latency_ms": positive(given["latency_ms"], flag="--latency-ms"),
        "ttft_ms": positive(given["ttft_ms"], flag="--ttft-ms"),
    }
    for field, flag, allowed in (
        ("engine", "--engine", ENGINES),
        ("served_dtype", "--served-dtype", get_args(ServedDtype)),
        ("cpu", "--cpu", get_args(Cpu)),
    ):
        if given[field] is not None:
            chosen[field] = _one_of(given[field], allowed, flag=flag)
    return chosen


def scenario_of(given: Mapping[str, Any]) -> Scenario:
    """The scenario of the flags of ``ftcost plan``, checked.

    Args:
        given: value of every flag by its name with underscores; None, False or empty where not given.

    Raises:
        InputError: with the flag, what is allowed and the closest names.
    """
    chosen: dict[str, Any] = {
        name: choice(name, given[name], where=f"--{name.replace('_', '-')}")
        for name in CATEGORIES
        if given[name] is not None
    }
    if given["lora_targets"] is not None:
        chosen["lora_targets"] = lora_roles(given["lora_targets"], where="--lora-targets")
    methods: tuple[Any, ...] = tuple(
        choice("method", name, where="--method") for name in dict.fromkeys(given["method"])
    )
    if methods:
        chosen["methods"] = methods
    if not 0 <= given["seed"] <= MAX_SEED:
        raise InputError(f"--seed {given['seed']} is outside 0 to {MAX_SEED:,}.")
    if given["on_prem"] and given["provider"]:
        raise InputError("--on-prem means bought hardware; drop --provider, or name --provider own without it.")
    _refuse_conflicts(given)
    as_of = price_day(given["as_of"])
    values, load = _assumptions(given, as_of)
    return Scenario(
        model=given["model"],
        assumptions=values,
        hourly_load=load,
        gpus=tuple(dict.fromkeys(given["gpu"])),
        gpu_count=whole(given["gpus"], flag="--gpus", low=1, high=MAX_GPUS),
        micro_batch=whole(given["micro_batch"], flag="--micro-batch", low=1, high=MAX_MICRO_BATCH),
        providers=("own",) if given["on_prem"] else tuple(given["provider"]),
        regions=tuple(given["region"]),
        **gpu_prices(given["gpu_price"]),
        marketplaces=given["marketplaces"],
        purchase="spot" if given["spot"] else "on-demand",
        packing=given["packing"],
        baselines=tuple(dict.fromkeys(given["baseline"])),
        budget_usd=positive(given["budget"], flag="--budget"),
        deadline_hours=positive(given["deadline_hours"], flag="--deadline-hours"),
        no_api=given["no_api"] or given["on_prem"],
        commercial=_one_of(given["license"], ("commercial",), flag="--license") == "commercial",
        task=_task(given),
        classes=whole(given["classes"], flag="--classes", low=2, high=MAX_CLASSES),
        goal=_one_of(given["goal"], GOALS, flag="--goal"),  # type: ignore[arg-type]
        retraining=_one_of(given["retraining"], RETRAININGS, flag="--retraining"),  # type: ignore[arg-type]
        quality_value_usd_per_month=positive(given["quality_value"], flag="--quality-value"),
        given=tuple(_one_of(name, CIRCUMSTANCES, flag="--given") for name in dict.fromkeys(given["given"])),  # type: ignore[misc]
        data_changes_every_days=positive(given["data_changes_every"], flag="--data-changes-every"),
        as_of=as_of,
        seed=given["seed"],
        draws=whole(given["draws"], flag="--draws", low=MIN_DRAWS, high=MAX_DRAWS) or MIN_DRAWS,
        **_served(given),
        **chosen,
    )


CONFLICTS = (
    # a flag, one that it rules out, and why
    ("no_api", "teacher", "nothing may leave for a vendor's model"),
    ("no_api", "judge", "nothing may leave for a vendor's model"),
    ("no_api", "baseline", "nothing may leave for a vendor's model"),
    ("on_prem", "teacher", "nothing may leave for a vendor's model"),
    ("on_prem", "judge", "nothing may leave for a vendor's model"),
    ("on_prem", "baseline", "nothing may leave for a vendor's model"),
    ("on_prem", "spot", "bought hardware has no spot price"),
    ("on_prem", "gpu_price", "bought hardware is not rented"),
)


def _task(given: Mapping[str, Any]) -> Task:
    """The kind of task; classes are those of a classification."""
    if given["task"] is None and given["classes"] is not None:
        return "classification"
    return _one_of(given["task"], TASKS, flag="--task")  # type: ignore[return-value]


def _refuse_conflicts(given: Mapping[str, Any]) -> None:
    for one, other, why in CONFLICTS:
        if given[one] and given[other]:
            names = (f"--{name.replace('_', '-')}" for name in (one, other))
            raise InputError(f"{' and '.join(names)} exclude each other: {why}. Drop one.")
    if given["classes"] is not None and given["task"] not in (None, "classification"):
        raise InputError(
            f"--classes counts the classes of a classification, not of --task {given['task']}. Drop one."
        )
    if "own" in given["provider"] and set(given["provider"]) != {"own"}:
        raise InputError(
            "--provider own holds bought cards over the whole horizon and goes alone. Compare two plans, one with"
            " --on-prem and one without (`ftcost compare`)."
        )


def _assumptions(given: Mapping[str, Any], as_of: date) -> tuple[Assumptions, tuple[float, ...]]:
    """The registry with flags, --set pairs, tables, and what follows from these; and the measured load by hour."""
    workload = {name: given[flag] for flag, name in WORKLOAD.items()}
    own = given["on_prem"] or "own" in given["provider"]
    values = assumptions_with(workload, given["settings"], profile=given["profile"], own=own)
    values, load = with_traffic(values, given)
    floor = given["quality_floor"]
    if floor is not None:
        if values.row("retrain_every_months").status == "user":
            raise InputError("--quality-floor sets the retrain interval; drop --retrain-every, or it from --set.")
        if not 0 < floor < 1:
            raise InputError(f"--quality-floor {floor:g} is outside 0 to 1. Write a share, such as 0.9.")
        values = with_quality_floor(values, floor=floor)
        if given["quality_value"] is not None:
            raise InputError("--quality-floor and --quality-value both set the retrain interval. Keep one.")
    if given["teacher"] is not None:
        if values.row("label_usd_per_row").status == "user":
            raise InputError("--teacher sets label_usd_per_row; drop it from --set.")
        values = with_teacher(values, reference=given["teacher"], as_of=as_of)
    if given["judge"] is not None:
        if values.row("judge_usd_per_request").status == "user":
            raise InputError("--judge sets judge_usd_per_request; drop it from --set.")
        values = with_judge(values, reference=given["judge"], as_of=as_of)
    return values, load


def _one_of(value: str | None, allowed: Sequence[str], *, flag: str) -> str:
    """The value if it is allowed; nothing where the flag was not given."""
    if value is not None and value not in allowed:
        raise UnknownNameError("value", value, allowed, where=flag)
    return value or ""
