"""Assumptions that follow from others: the retrain interval from a quality floor, a row's price from a teacher."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from estimator.assumptions import Assumptions
from estimator.numbers import Number
from pricing import api_model

MONTHS_OF_DECAY = 6.0
TOKENS_PER_MILLION = 1e6


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
    rejected_fraction: Number,
    input_usd_per_million_tokens: Number,
    output_usd_per_million_tokens: Number,
) -> Number:
    """Price of one accepted row that a teacher model writes.

    (input x (prompt + question tokens) + output x answer tokens) / (1 - rejected share). Source: derived.

    >>> usd = generated_row_usd(tokens_per_row=600, answer_fraction=0.5, prompt_tokens=700, rejected_fraction=0.5,
    ...     input_usd_per_million_tokens=1.0, output_usd_per_million_tokens=10.0)
    >>> round(usd, 6)
    0.008
    """
    answer = tokens_per_row * answer_fraction
    question = tokens_per_row - answer + prompt_tokens
    usd = question * input_usd_per_million_tokens + answer * output_usd_per_million_tokens
    return usd / TOKENS_PER_MILLION / (1 - rejected_fraction)


def with_quality_floor(values: Assumptions, *, floor: float) -> Assumptions:
    """The registry with the retrain interval that keeps quality above a floor; its range is that of the decay."""
    decay = values.row("quality_decay_fraction")

    def months(value: float) -> float:
        return float(months_to_floor(quality_floor_fraction=floor, quality_decay_fraction=value))

    return values.replacing(
        replace(
            values.row("retrain_every_months"),
            low=months(decay.high),
            base=months(decay.base),
            high=months(decay.low),
            status="computed",
            source=f"when quality reaches {floor:g} of what it was, at the assumed decay",
        )
    )


def with_teacher(values: Assumptions, *, reference: str, as_of: date) -> Assumptions:
    """The registry with rows written by an API model in place of people.

    Raises:
        UnknownNameError, InputError: no such model, or it has been retired.
    """
    model = api_model(reference, as_of=as_of)
    prices = model.input_usd_per_million_tokens, model.output_usd_per_million_tokens
    rejected = values.row("teacher_rejected_fraction")
    return values.replacing(
        replace(
            values.row("label_usd_per_row"),
            low=_row_usd(values, rejected.low, *prices),
            base=_row_usd(values, rejected.base, *prices),
            high=_row_usd(values, rejected.high, *prices),
            label="generating one row",
            status="computed",
            source=f"{model.reference} as teacher: {model.source}",
            checked=model.seen.isoformat(),
        )
    )


def _row_usd(values: Assumptions, rejected_fraction: float, input_usd: float, output_usd: float) -> float:
    return float(
        generated_row_usd(
            tokens_per_row=values["tokens_per_row"],
            answer_fraction=values["teacher_answer_fraction"],
            prompt_tokens=values["few_shot_tokens"],
            rejected_fraction=rejected_fraction,
            input_usd_per_million_tokens=input_usd,
            output_usd_per_million_tokens=output_usd,
        )
    )
