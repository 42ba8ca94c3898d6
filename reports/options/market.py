"""Flags of where cards are rented, what traffic they serve, and how."""

from __future__ import annotations

from collections.abc import Sequence

import click

from reports.options.flag import SERVE, TRAIN, Flag, as_json, as_of, model, number, profile, settings, several


def market_flags() -> Sequence[Flag]:
    """Where cards are rented, and how."""
    return (
        several(
            "--provider",
            panel=TRAIN,
            help="Only these; repeatable. own: bought hardware. See `ftcost prices`.",
            example='["runpod-secure", "lambda"]',
        ),
        several("--region", panel=TRAIN, help="Only these regions; repeatable.", example='["us-east-1"]'),
        several(
            "--gpu-price",
            panel=TRAIN,
            help="Your price as GPU=USD per GPU-hour, firm, or GPU=P10:USD:P90; repeatable. Replaces all others of"
            " that card.",
            example='["h100-80gb-sxm=2.10"]',
        ),
        Flag(
            "--marketplaces/--no-marketplaces",
            default=False,
            panel=TRAIN,
            help="Also rent strangers' machines. [no]",
        ),
        Flag("--spot/--on-demand", default=False, panel=TRAIN, help="Kind of GPU price. [on-demand]"),
    )


def traffic_flags() -> Sequence[Flag]:
    """Requests and their tokens."""
    return (
        number("--requests-per-day", assumption="requests_per_day", panel=SERVE, help="Requests served per day."),
        number(
            "--input-tokens",
            assumption="input_tokens",
            panel=SERVE,
            help="Instructions and user text of a request.",
        ),
        number("--output-tokens", assumption="output_tokens", panel=SERVE, help="Output tokens of a request."),
        Flag(
            "--input-tokens-p95",
            type=float,
            panel=SERVE,
            help="95th percentile of the input tokens. [standard deviation = mean]",
            example="1500",
        ),
        Flag(
            "--output-tokens-p95",
            type=float,
            panel=SERVE,
            help="95th percentile of the output tokens. [standard deviation = mean]",
            example="500",
        ),
        Flag(
            "--traffic",
            panel=SERVE,
            help="CSV of requests by the hour (columns requests, and hour or timestamp): volume, peak and curve;"
            " with --requests-per-day the curve alone. [a day-night curve]",
            example='"traffic.csv"',
        ),
        Flag(
            "--lengths",
            panel=SERVE,
            help="CSV of requests (columns input_tokens, output_tokens): means and spreads of both.",
            example='"lengths.csv"',
        ),
    )


def engine_flags() -> Sequence[Flag]:
    """How a self-hosted replica serves."""
    return (
        Flag("--engine", panel=SERVE, help="vllm, tensorrt-llm, sglang or lmdeploy. [vllm]", example='"sglang"'),
        Flag(
            "--served-dtype",
            panel=SERVE,
            help="Stored weights of a replica: fp16, fp8, fp4, int8 or int4. [fp16, or fp8 where the card has it]",
            example='"fp8"',
        ),
        Flag(
            "--cpu",
            panel=SERVE,
            help="also, only or none: processors for small models. [plan: none; serve-plan: also, but with --gpu]",
            example='"only"',
        ),
        number(
            "--prefix-cached-fraction",
            assumption="prefix_cached_fraction",
            panel=SERVE,
            help="Share of the input that replicas find in their prefix cache.",
        ),
        number(
            "--draft-tokens",
            assumption="draft_tokens",
            panel=SERVE,
            help="Tokens drafted per step by speculative decoding; 0 for none.",
        ),
        number(
            "--draft-acceptance",
            assumption="draft_acceptance_fraction",
            panel=SERVE,
            help="Chance that a drafted token is accepted.",
        ),
    )


def serve_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost serve-plan``."""
    return (
        model(),
        *traffic_flags(),
        Flag(
            "--latency-ms",
            type=float,
            panel=SERVE,
            help="Most milliseconds per output token, at a full replica. [no limit]",
            example="50",
        ),
        Flag(
            "--ttft-ms",
            type=float,
            panel=SERVE,
            help="Most milliseconds to the first token, at P95 in the busiest hour. [no limit]",
            example="1000",
        ),
        Flag(
            "--batch-window-hours",
            type=float,
            panel=SERVE,
            help="Hours of a day in which all its requests may run together; they wait until then. [none waits]",
            example="6",
        ),
        Flag("--adapters", type=int, default=0, panel=SERVE, help="Unmerged adapters on each replica. [0]"),
        *engine_flags(),
        several(
            "--gpu",
            panel=TRAIN,
            help="Only these cards; repeatable. See `ftcost gpus`.",
            example='["h100-80gb-sxm", "l40s"]',
        ),
        *market_flags(),
        settings(),
        profile(),
        as_of(),
        as_json(),
    )
