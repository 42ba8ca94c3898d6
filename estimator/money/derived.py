"""Assumptions that follow from others: an interval from a quality floor, prices from a teacher or a judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from estimator.assumptions import Assumptions
from estimator.errors import InputError
from estimator.money.common_costs import TOKENS_PER_MILLION
from estimator.money.series import DAYS_PER_MONTH
from estimator.numbers import Number
from pricing import api_model

MONTHS_OF_DECAY = 6.0


def months_to_floor(*, quality_floor_fraction: Number, quality_decay_fraction: Number) -> Number:
    """Months without retraining until quality falls to a share of what it was.

    quality(t) = (1 - decay)^(t / 6), so t = 6 ln(floor) / ln(1 - decay). Valid for 0 < floor < 1 and
    0 < decay < 1. Source: derived from a decay per six months, see ``quality_decay_fraction``.

    >>> round(float(months_to_floor(quality_floor_fraction=0.85, quality_decay_fraction=0.15)), 6)
    6.0
    """
    return MONTHS_OF_DECAY * np.log(quality_floor_fraction) / np.log(1 - quality_decay_fraction)


def generated_row_usd(
    *,
    tokens_per_row: Number,
    answer_fraction: Number,
    prompt_tokens: Number,
    input_usd_per_million_tokens: Number,
    output_usd_per_million_tokens: Number,
) -> Number:
    """Price of one row that a teacher model writes, kept or thrown away.

    (input x (prompt + question tokens) + output x answer tokens) / 10^6. Source: derived.

    >>> usd = generated_row_usd(tokens_per_row=600, answer_fraction=0.5, prompt_tokens=700,
    ...     input_usd_per_million_tokens=1.0, output_usd_per_million_tokens=10.0)
    >>> round(usd, 6)
    0.004
    """
    answer = tokens_per_row * answer_fraction
    question = tokens_per_row - answer + prompt_tokens
    usd = question * input_usd_per_million_tokens + answer * output_usd_per_million_tokens
    return usd / TOKENS_PER_MILLION


def judged_request_usd(
    *,
    request_tokens: Number,
    prompt_tokens: Number,
    answer_tokens: Number,
    input_usd_per_million_tokens: Number,
    output_usd_per_million_tokens: Number,
) -> Number:
    """Price of one request judged by a model that reads it, its answer and a rubric, and writes a verdict.

    (input x (request + rubric tokens) + output x verdict tokens) / 10^6. Source: derived.

    >>> usd = judged_request_usd(request_tokens=800, prompt_tokens=1500, answer_tokens=150,
    ...     input_usd_per_million_tokens=2.0, output_usd_per_million_tokens=10.0)
    >>> round(usd, 6)
    0.0061
    """
    read = (request_tokens + prompt_tokens) * input_usd_per_million_tokens
    return (read + answer_tokens * output_usd_per_million_tokens) / TOKENS_PER_MILLION


def with_quality_floor(values: Assumptions, *, floor: float) -> Assumptions:
    """The registry with the retrain interval that keeps quality above a floor; its range is that of the decay.

    Raises:
        InputError: a floor that needs an interval outside what is allowed.
    """
    decay, row = values.row("quality_decay_fraction"), values.row("retrain_every_months")

    def months(value: float) -> float:
        return float(months_to_floor(quality_floor_fraction=floor, quality_decay_fraction=value))

    least, most = months(decay.high), months(decay.low)
    if not row.minimum <= least <= most <= row.maximum:
        raise InputError(
            f"a quality floor of {floor:g} needs a retrain every {least:.2g} to {most:.2g} months; allowed are"
            f" {row.minimum:g} to {row.maximum:g}. Take another floor."
        )
    return values.replacing(
        replace(
            row,
            low=months(decay.high),
            base=months(decay.base),
            high=months(decay.low),
            status="computed",
            source=f"when quality reaches {floor:g} of what it was, at the assumed decay",
        )
    )


def following_facts(values: Assumptions, *, days: float) -> Assumptions:
    """The registry with a retrain at every change of the facts, within the intervals that are allowed."""
    row = values.row("retrain_every_months")
    months = float(np.clip(days / DAYS_PER_MONTH, row.minimum, row.maximum))
    return values.replacing(
        replace(
            row,
            low=months,
            base=months,
            high=months,
            status="computed",
            source=f"the facts that are taught change every {days:g} days",
        )
    )


def with_spot_prices(values: Assumptions) -> Assumptions:
    """The registry with the range of GPU prices widened by that of spot prices; a price ratio set stays as it is.

    The two spreads are independent, so that they add in quadrature on the log scale. Source: derived.
    """
    row, spot = values.row("gpu_price_ratio"), values.row("spot_price_ratio")
    if row.status == "user":
        return values

    base = row.base * spot.base

    def spread(one: float, other: float) -> float:
        return float(np.exp(np.hypot(np.log(one), np.log(other))))

    return values.replacing(
        replace(
            row,
            low=base / spread(row.base / row.low, spot.base / spot.low),
            base=base,
            high=base * spread(row.high / row.base, spot.high / spot.base),
            source=f"{row.source}; and the range of spot prices",
        )
    )


def with_teacher(values: Assumptions, *, reference: str, as_of: date) -> Assumptions:
    """The registry with rows written by an API model in place of people, and thrown away as often as its are.

    Raises:
        UnknownNameError, InputError: no such model, or it has been retired.
    """
    model = api_model(reference, as_of=as_of)
    usd = float(
        generated_row_usd(
            tokens_per_row=values["tokens_per_row"],
            answer_fraction=values["teacher_answer_fraction"],
            prompt_tokens=values["few_shot_tokens"],
            input_usd_per_million_tokens=model.input_usd_per_million_tokens,
            output_usd_per_million_tokens=model.output_usd_per_million_tokens,
        )
    )
    priced = values.replacing(
        replace(
            values.row("label_usd_per_row"),
            low=usd,
            base=usd,
            high=usd,
            label="generating one row",
            status="computed",
            source=f"{model.reference} as teacher: {model.source}",
            checked=model.seen.isoformat(),
        )
    )
    if values.row("label_reject_fraction").status == "user":
        return priced
    return priced.replacing(replace(values.row("teacher_rejected_fraction"), name="label_reject_fraction"))


def with_judge(values: Assumptions, *, reference: str, as_of: date) -> Assumptions:
    """The registry with production requests judged by an API model at its price.

    Raises:
        UnknownNameError, InputError: no such model, or it has been retired.
    """
    model = api_model(reference, as_of=as_of)
    rubric, verdict = values.row("judge_prompt_tokens"), values.row("judge_answer_tokens")

    def usd(prompt_tokens: float, answer_tokens: float) -> float:
        return float(
            judged_request_usd(
                request_tokens=values["input_tokens"] + values["output_tokens"],
                prompt_tokens=prompt_tokens,
                answer_tokens=answer_tokens,
                input_usd_per_million_tokens=model.input_usd_per_million_tokens,
                output_usd_per_million_tokens=model.output_usd_per_million_tokens,
            )
        )

    return values.replacing(
        replace(
            values.row("judge_usd_per_request"),
            low=usd(rubric.low, verdict.low),
            base=usd(rubric.base, verdict.base),
            high=usd(rubric.high, verdict.high),
            status="computed",
            source=f"{model.reference} as judge: {model.source}",
            checked=model.seen.isoformat(),
        )
    )
