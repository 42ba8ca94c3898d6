"""What a hosted fine-tuning service charges: to train, to keep, and for the tuned model's tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from pricing.errors import InputError
from pricing.table import (
    DATA,
    STATUSES,
    Column,
    choice,
    day,
    newest,
    number,
    read_table,
    refuse_duplicates,
    where,
)

HOSTED = DATA / "hosted_finetuning.csv"
METHODS = ("lora", "full", "undisclosed")
OBJECTIVES = ("sft", "dpo", "rl")
SERVING = ("per-token", "dedicated", "download", "unknown")


@dataclass(frozen=True, kw_only=True)
class HostedOffer:
    """One price of one fine-tuning service.

    A row is for a closed model, for one open model (`base_model`), or for every open model whose size lies in
    (`base_parameters_min`, `base_parameters_max`]. None: the price does not exist or is not known.

    Attributes:
        provider, provider_label: id and readable name of the service.
        model: the model or size bracket as the service writes it.
        base_model: hub id of an open base model; empty for closed models and brackets.
        base_parameters_min, base_parameters_max: parameters of the base model; None for closed models.
        method: lora, full or undisclosed.
        objective: sft, dpo or rl.
        train_usd_per_million_tokens: for every token of every epoch (see `billing_rule`).
        train_usd_per_hour: of training time, where the service bills time.
        minimum_usd: least charge of a job.
        serve_input_usd_per_million_tokens, serve_cached_input_usd_per_million_tokens,
            serve_output_usd_per_million_tokens: tokens of the tuned model.
        hosting_usd_per_hour: runs also when nothing is asked; for `serving` = dedicated per GPU.
        hosting_gpu: accelerator of a dedicated endpoint, by its id in the accelerator catalogue; empty where
            not known.
        deployment_hours: how long a deployment lives before it is taken down; None for no end.
        storage_usd_per_month: for keeping one tuned model.
        serving: per-token, dedicated (rented GPUs), download (weights only) or unknown.
        billing_rule: which tokens count.
        new_customers_until, new_jobs_until, available_until: the last day for new customers, for new jobs, and
            of the tuned model's answers; None where no end has been announced.
        seen, source, url, status, notes: where the row comes from.
    """

    provider: str
    provider_label: str
    model: str
    base_model: str
    base_parameters_min: float | None
    base_parameters_max: float | None
    method: str
    objective: str
    train_usd_per_million_tokens: float | None
    train_usd_per_hour: float | None
    minimum_usd: float | None
    serve_input_usd_per_million_tokens: float | None
    serve_cached_input_usd_per_million_tokens: float | None
    serve_output_usd_per_million_tokens: float | None
    hosting_usd_per_hour: float | None
    hosting_gpu: str
    deployment_hours: float | None
    storage_usd_per_month: float | None
    serving: str
    billing_rule: str
    new_customers_until: date | None
    new_jobs_until: date | None
    available_until: date | None
    seen: date
    source: str
    url: str
    status: str
    notes: str

    @property
    def closed(self) -> bool:
        """The base model's weights cannot be had."""
        return self.base_parameters_max is None

    def covers(self, *, base_model: str, parameters: float) -> bool:
        """Whether the row prices this open model: by its name, else by its size bracket.

        Args:
            base_model: hub id.
            parameters: of the base model, as published.
        """
        if self.base_model:
            return self.base_model == base_model
        if self.base_parameters_max is None:
            return False
        return (self.base_parameters_min or 0.0) < parameters <= self.base_parameters_max


_USD_PER_MILLION = number(0.001, 500, "USD per million tokens")
_PARAMETERS = number(0, 1e13, "parameters")

_COLUMNS = {
    "provider": Column(required=True),
    "provider_label": Column(required=True),
    "model": Column(required=True),
    "base_model": Column(),
    "base_parameters_min": Column(_PARAMETERS),
    "base_parameters_max": Column(_PARAMETERS),
    "method": Column(choice(*METHODS), required=True),
    "objective": Column(choice(*OBJECTIVES), required=True),
    "train_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "train_usd_per_hour": Column(number(0.1, 1000, "USD per hour")),
    "minimum_usd": Column(number(0, 1000, "USD")),
    "serve_input_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "serve_cached_input_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "serve_output_usd_per_million_tokens": Column(_USD_PER_MILLION),
    "hosting_usd_per_hour": Column(number(0, 100, "USD per hour")),
    "hosting_gpu": Column(),
    "deployment_hours": Column(number(1, 10000, "hours")),
    "storage_usd_per_month": Column(number(0, 100, "USD per month")),
    "serving": Column(choice(*SERVING), required=True),
    "billing_rule": Column(required=True),
    "new_customers_until": Column(day),
    "new_jobs_until": Column(day),
    "available_until": Column(day),
    "seen": Column(day, required=True),
    "status": Column(choice(*STATUSES), required=True),
    "source": Column(required=True),
    "url": Column(required=True),
    "notes": Column(),
}


def read_hosted(path: Path) -> tuple[HostedOffer, ...]:
    """Every dated row of one table of hosted fine-tuning, checked."""
    lines: list[int] = []

    def build(values: dict[str, Any], line: int) -> HostedOffer:
        lines.append(line)
        row = HostedOffer(**values)
        if row.train_usd_per_million_tokens is None and row.train_usd_per_hour is None:
            raise InputError(f"{path.name} row {line}: no training price. Fill in per million tokens or per hour.")
        low, high = row.base_parameters_min, row.base_parameters_max
        if (low is None) != (high is None) or (low is not None and high is not None and low > high):
            raise InputError(
                f"{where(path, line, 'base_parameters_min')}: {low!r} to {high!r} is no range. "
                "Give both ends (min below max), or neither for a closed model."
            )
        if row.base_model and high is None:
            raise InputError(
                f"{where(path, line, 'base_model')}: an open model needs its parameters. Fill them in."
            )
        return row

    rows = read_table(path, _COLUMNS, build)
    refuse_duplicates(path, (((*_key(row), row.seen), line) for row, line in zip(rows, lines, strict=True)))
    return tuple(rows)


def _key(row: HostedOffer) -> tuple[str, str, str, str]:
    return row.provider, row.model, row.method, row.objective


@cache
def all_hosted() -> tuple[HostedOffer, ...]:
    """Every dated row of the table, also those that a newer one replaces."""
    return read_hosted(HOSTED)


def hosted_finetuning(*, as_of: date, include_ended: bool = False) -> tuple[HostedOffer, ...]:
    """The services known on a day, the newest row of each.

    Args:
        as_of: the plan's day.
        include_ended: also rows whose tuned models have stopped answering by that day.

    Raises:
        InputError: `as_of` is before the first price of the table.
    """
    rows = newest(HOSTED, all_hosted(), as_of=as_of, key=_key)
    if include_ended:
        return rows
    return tuple(row for row in rows if row.available_until is None or as_of <= row.available_until)
