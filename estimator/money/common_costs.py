"""Cost lines that prompting and tuning share: tokens of an API, evaluation, monitoring, logs."""

from __future__ import annotations

from estimator.algebra import Value, less, maximum, minimum
from estimator.money.lines import Line, Parameters, Timing, monthly
from estimator.money.series import api_moves_so_far
from estimator.numbers import GB

TOKENS_PER_MILLION = 1e6

TOKEN_PRICES = tuple(
    f"{kind}{name}_price" for kind in ("", "batch_") for name in ("input", "cached_input", "cache_write", "output")
)
"""Parameters of an API model: prices of interactive requests and of batches."""


def paid_usd_per_gpu_hour(
    *, usd_per_gpu_hour: Value, listed: Value, paid_ratio: Value, price_factor: Value
) -> Value:
    """Price paid for an hour of a card: usd x listed x ratio x factor + usd x (1 - listed).

    What is paid of a listed price moves with availability and the market; a quoted price holds for all months.

    Args:
        usd_per_gpu_hour: price read or quoted (USD per GPU and hour).
        listed: 1 for a price of the tables, 0 for a quoted one.
        paid_ratio: paid over listed.
        price_factor: the market's price of the month over today's.

    Takes numbers, arrays and spreadsheet cells. Source: derived.

    >>> [paid_usd_per_gpu_hour(usd_per_gpu_hour=2.0, listed=one, paid_ratio=1.3, price_factor=1.0)
    ...     for one in (1.0, 0.0)]
    [2.6, 2.0]
    """
    return usd_per_gpu_hour * listed * paid_ratio * price_factor + usd_per_gpu_hour * (1 - listed)


def api_request_lines(
    x: Parameters, *, static_tokens: Value, dynamic_tokens: Value, price_factor: Value, calls: Value = 1
) -> list[Line]:
    """Tokens of an API per month, by the price they are billed at.

    A static prompt is cached where it reaches the provider's smallest cacheable length: a share of its tokens is
    read from the cache, the rest is written to it at the write price. Retries multiply all; the share of
    requests that may wait is billed at the prices of batches.
    """
    cacheable = 1 - less(static_tokens, x["cache_minimum_tokens"])
    static = static_tokens * calls
    hit = x["cache_hit_fraction"] * cacheable
    millions = x["requests_in_month"] * x["retry_ratio"] / TOKENS_PER_MILLION
    batched = x["api_batch_fraction"]

    def line(name: str, tokens: Value, price: str) -> Line:
        usd = x[price] * (1 - batched) + x[f"batch_{price}"] * batched
        return monthly("serving", name, "million tokens", millions * tokens, usd * price_factor)

    return [
        line("input tokens", dynamic_tokens + static * (1 - cacheable), "input_price"),
        line("input tokens written to the prompt cache", static * (cacheable - hit), "cache_write_price"),
        line("input tokens read from the prompt cache", static * hit, "cached_input_price"),
        line("output tokens", x["output_tokens"], "output_price"),
    ]


def part_of_month_after(*, month: Value, months: Value) -> Value:
    """Part of a month (1 is the first) that lies after so many months from the plan's day.

    Takes numbers, arrays and spreadsheet cells. Source: derived.

    >>> [round(part_of_month_after(month=month, months=1.25), 2) for month in (1.0, 2.0, 3.0)]
    [0.0, 0.75, 1.0]
    """
    return minimum(maximum(month - months, 0), 1)


def with_announced_prices(x: Parameters, *, changes: int) -> Parameters:
    """The parameters with each token price of the month: after the day of an announced change, the new one.

    A model moved to since is another one, whose price such a change does not touch; a move that the model's end
    forces (only models with an end inside the horizon have ``retired_after_months``) is one too.
    """
    same_model = less(api_moves_so_far(x), 1)
    if "retired_after_months" in x:
        same_model = same_model * less(x["month"] - 1, x["retired_after_months"])
    prices = {name: x[name] for name in TOKEN_PRICES}
    for place in range(1, changes + 1):
        after = same_model * part_of_month_after(month=x["month"], months=x[f"change_{place}_after_months"])
        prices = {name: price + after * (x[f"change_{place}_{name}"] - price) for name, price in prices.items()}
    return {**x, **prices}


def watch_lines(x: Parameters, *, ops_hours: Value) -> list[Line]:
    """Monitoring a sample of requests, operations, and logs."""
    return [
        monthly(
            "upkeep",
            "requests judged in production",
            "request",
            x["requests_in_month"] * x["monitoring_fraction"],
            x["judge_usd_per_request"],
        ),
        monthly("people", "operations and on-call", "hour", ops_hours, x["engineer_usd_per_hour"]),
        *log_lines(x),
    ]


def text_gb(x: Parameters, tokens: Value) -> Value:
    """Size of so many tokens as text."""
    return tokens * x["text_bytes_per_token"] / GB


def log_lines(x: Parameters) -> list[Line]:
    """Requests with their answers, kept for a while: what monitoring reads and the next rows come from."""
    tokens = x["requests_in_month"] * (x["input_tokens"] + x["output_tokens"])
    return [
        monthly(
            "upkeep",
            "request logs stored",
            "GB-month",
            text_gb(x, tokens) * x["log_months_kept"],
            x["storage_usd_per_gb_month"],
        )
    ]


def release_evaluation(x: Parameters, *, timing: Timing, group: str) -> Line:
    """Judging the held-out set before a release."""
    return Line(
        group=group,
        name="held-out rows judged",
        timing=timing,
        unit="row",
        quantity=x["evaluation_rows"] * x["evaluation_runs"],
        unit_price_usd=x["review_usd_per_row"],
    )
