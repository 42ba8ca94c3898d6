"""What a scenario rules out, and what to change: licences, memory, budget, offers left aside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from estimator.errors import InputError, NothingFitsError
from estimator.models import ResolvedModel, models
from estimator.numbers import GIB
from estimator.parameters import total_parameters
from estimator.result import RuledOut
from estimator.scenario import Scenario
from estimator.search.training import SearchResult, run_of
from estimator.words import percent
from pricing import OLD_AFTER_DAYS, age_days, offers, providers


def check_licence(scenario: Scenario, model: ResolvedModel) -> None:
    """Refuse a model whose licence forbids what the scenario needs.

    Raises:
        NothingFitsError: with models of about the same size whose licence allows it.
    """
    record = model.record
    if not scenario.commercial or record is None or record.commercial_use != "no":
        return
    size = total_parameters(architecture=model.architecture)
    alike = sorted(
        (one for one in models().values() if one.commercial_use == "yes"),
        key=lambda one: (abs(one.published_parameters - size), one.id),
    )[:3]
    raise NothingFitsError(
        f"nothing fits: the licence of {record.id} ({record.license}) does not allow commercial use."
        f" Of about its size and allowed: {', '.join(one.id for one in alike)}."
    )


def within_positions(scenario: Scenario, model: ResolvedModel) -> Scenario:
    """The scenario with training sequences that the model's positions hold: the default length gives way.

    Raises:
        InputError: a length that the user has set, and that exceeds them.
    """
    row, most = scenario.assumptions.row("seq_len"), model.architecture.max_position
    if not most or row.base <= most:
        return scenario
    if row.status == "user":
        raise InputError(
            f"--seq-len {row.base:,.0f} exceeds the {most:,} positions of {model.architecture.id}. Shorten it, or"
            " name the config.json of a variant with a longer context."
        )
    held = float(most)
    shorter = replace(
        row, low=held, base=held, high=held, status="computed", source=f"positions of {model.architecture.id}"
    )
    return replace(scenario, assumptions=scenario.assumptions.replacing(shorter))


def check_positions(scenario: Scenario, model: ResolvedModel) -> None:
    """Refuse requests that the model cannot hold: neither tuning nor serving it would answer them.

    Raises:
        NothingFitsError: with the longest request that it holds.
    """
    values, most = scenario.assumptions, model.architecture.max_position
    asked = values["input_tokens"] + values["output_tokens"]
    if most and asked > most:
        raise NothingFitsError(
            f"nothing fits: a request of {asked:,.0f} tokens exceeds the {most:,} positions of"
            f" {model.architecture.id}. Shorten --input-tokens or --output-tokens, or choose a model with a longer"
            " context."
        )


def nothing_fits(scenario: Scenario, found: SearchResult) -> str:
    """What comes nearest, and what to change."""
    lines = ["nothing fits: no method runs within the limits."]
    lines += [f"{one.what}: {one.reason}." for one in methods_ruled_out(scenario, found)]
    lines.append(f"Change one of: {', '.join(_ways_out(scenario))}; or raise --budget or --deadline-hours.")
    lines.append("`ftcost estimate --what-if` looks further for one method and card.")
    return "\n".join(lines)


def _ways_out(scenario: Scenario) -> list[str]:
    """Changes that may make a run fit and that the search has not tried already."""
    untried = (
        ("--method qlora", "qlora" not in scenario.methods),
        ("--micro-batch 1", scenario.micro_batch not in (None, 1)),
        ("--recompute full", scenario.recompute not in (None, "full")),
        ("--loss fused", scenario.loss != "fused"),
    )
    changes = [change for change, helps in untried if helps]
    return ["--gpus (more cards)", "--gpu (larger cards)", *changes, "--seq-len (shorter)"]


def methods_ruled_out(scenario: Scenario, found: SearchResult) -> tuple[RuledOut, ...]:
    """Methods without a candidate that fits, each with the candidate that comes nearest."""
    rows = []
    values = scenario.assumptions
    for method, near in found.nearest.items():
        run = run_of(near)
        record = near.block.records[near.index[0]]
        need, limit = float(near.block.device_bytes[near.index]), float(np.max(run.accelerator.memory_bytes))
        limits = [
            f"--{name} {value:g}"
            for name, value in (("budget", scenario.budget_usd), ("deadline-hours", scenario.deadline_hours))
            if value is not None
        ]
        if need <= limit and limits:
            reason = f"no configuration that fits in memory keeps within {' and '.join(limits)}"
        else:
            reason = (
                f"nearest is {run.gpus:.0f} x {record.label} ({run.sharding}, micro-batch {run.micro_batch:.0f},"
                f" recompute {run.recompute}) with {need / GIB:.1f} GiB of {limit / GIB:.1f} GiB per card"
            )
            if need <= limit:
                reason += (
                    f", too likely to exceed it: {percent(values['fit_probability_needed'])} sure is asked for"
                    " (--set fit_probability_needed)"
                )
        rows.append(RuledOut(what=f"{method} fine-tuning", reason=reason))
    return tuple(rows)


def not_considered(scenario: Scenario) -> list[RuledOut]:
    """Offers that count only where the scenario asks for them."""
    rows = []
    if not scenario.marketplaces and not scenario.providers:
        names = sorted(row.label for row in providers().values() if row.kind == "marketplace")
        reason = "strangers' machines at floor prices that move daily; --marketplaces counts them"
        rows.append(RuledOut(what=f"marketplaces ({', '.join(names)})", reason=reason))
    if not scenario.providers:
        old = sum(age_days(offer, scenario.as_of) > OLD_AFTER_DAYS for offer in offers(as_of=scenario.as_of))
        reason = f"seen more than {OLD_AFTER_DAYS} days before {scenario.as_of}; --provider names one"
        rows.append(RuledOut(what=f"{old} GPU offers", reason=reason))
    if not scenario.baselines and not scenario.no_api:
        reason = "of each price tier the one with the median price is compared; --baseline names others"
        rows.append(RuledOut(what="other API models (`ftcost prices --kind api`)", reason=reason))
    if not scenario.gpus:
        reason = "they train in fp16, in which most models overflow; --gpu names one"
        rows.append(RuledOut(what="cards without bf16 (T4, V100 and older)", reason=reason))
    return rows
