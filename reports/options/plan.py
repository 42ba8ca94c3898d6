"""Flags of ``ftcost plan`` and of the commands that ask several plans."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import click

from reports.options.flag import (
    LIMITS,
    MONEY,
    OUTPUT,
    SERVE,
    TRAIN,
    WORK,
    Flag,
    Place,
    as_json,
    as_of,
    model,
    number,
    profile,
    scenario_file,
    settings,
    several,
)
from reports.options.market import engine_flags, market_flags, traffic_flags


@cache
def plan_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost plan``."""
    return (
        scenario_file(),
        model(required=False),
        number("--rows", "-r", assumption="rows", help="Rows of training data."),
        number("--tokens-per-row", assumption="tokens_per_row", help="Tokens per row, prompt and answer."),
        number("--epochs", assumption="epochs", help="Passes over the rows."),
        number("--seq-len", assumption="seq_len", help="Tokens per training sequence."),
        Flag(
            "--packing/--no-packing",
            default=True,
            panel=WORK,
            help="Fill sequences with several rows, or pad each. [packing]",
        ),
        several(
            "--method",
            panel=TRAIN,
            help="full, lora or qlora; repeatable. [all three]",
            example='["lora", "qlora"]',
        ),
        several(
            "--gpu",
            panel=TRAIN,
            help="Only these cards; repeatable. See `ftcost gpus`.",
            example='["h100-80gb-sxm", "l40s"]',
        ),
        Flag("--gpus", type=int, panel=TRAIN, help="Exactly this many cards. [1 to 64]", example="8"),
        *market_flags(),
        number("--lora-rank", assumption="lora_rank", panel=TRAIN, help="Rank of the adapters."),
        Flag(
            "--lora-targets",
            panel=TRAIN,
            help='"q k v o gate up down head", attention or all. [all]',
            example='"q k v o gate up down"',
        ),
        Flag(
            "--quantization",
            panel=TRAIN,
            help="Of the frozen base under qlora. [nf4-double]",
            example='"nf4-double"',
        ),
        Flag(
            "--micro-batch",
            type=int,
            panel=TRAIN,
            help="Sequences per GPU and micro-step. [searched]",
            example="4",
        ),
        number("--global-batch", assumption="global_batch", panel=TRAIN, help="Sequences per optimizer step."),
        Flag("--recompute", panel=TRAIN, help="none, selective or full. [searched]", example='"full"'),
        Flag(
            "--optimizer",
            panel=TRAIN,
            help="adamw, adamw-fused, adamw-8bit, ... [adamw-fused]",
            example='"adamw-fused"',
        ),
        Flag("--sharding", panel=TRAIN, help="none, ddp, zero1, zero2, fsdp, hsdp. [searched]", example='"fsdp"'),
        Flag("--stack", panel=TRAIN, help="Training software. [hf]", example='"hf"'),
        Flag("--loss", panel=TRAIN, help="full, chunked or fused. [full]", example='"full"'),
        *traffic_flags(),
        *engine_flags(),
        number(
            "--few-shot-tokens", assumption="few_shot_tokens", panel=SERVE, help="Examples in a few-shot prompt."
        ),
        number("--context-tokens", assumption="context_tokens", panel=SERVE, help="Retrieved text per request."),
        several(
            "--baseline",
            panel=SERVE,
            help="API model as provider/model; repeatable. [three price tiers]",
            example='["google/gemini-2.5-flash-lite"]',
        ),
        number("--horizon-months", assumption="horizon_months", panel=MONEY, help="Months the plan looks ahead."),
        number("--retrain-every", assumption="retrain_every_months", panel=MONEY, help="Months between retrains."),
        number("--experiments", assumption="experiments", panel=MONEY, help="Experiments per production run."),
        Flag(
            "--budget", type=float, panel=MONEY, help="Most USD that one production run may cost.", example="500"
        ),
        Flag(
            "--deadline-hours",
            type=float,
            panel=MONEY,
            help="Most hours that one production run may take.",
            example="24",
        ),
        Flag(
            "--latency-ms",
            type=float,
            panel=LIMITS,
            help="Most milliseconds per output token, self-hosted, at a full replica.",
            example="50",
        ),
        Flag(
            "--ttft-ms",
            type=float,
            panel=LIMITS,
            help="Most milliseconds to the first token, self-hosted, at P95 in the busiest hour.",
            example="1000",
        ),
        Flag("--no-api", is_flag=True, panel=LIMITS, help="No vendor's model or service may see the data."),
        Flag("--on-prem", is_flag=True, panel=LIMITS, help="Bought hardware only; implies --no-api."),
        Flag(
            "--license",
            panel=LIMITS,
            help="commercial: the model's licence must allow commercial use.",
            example='"commercial"',
        ),
        Flag(
            "--task",
            panel=LIMITS,
            help="classification, generation or complex: how many rows are enough.",
            example='"classification"',
        ),
        Flag("--classes", type=int, panel=LIMITS, help="Classes of a classification task.", example="10"),
        Flag("--goal", default="form", panel=LIMITS, help="form or facts: what the rows teach. [form]"),
        several(
            "--given",
            panel=LIMITS,
            help="What is true of your case, for the advice; repeatable: prompt-tuned, unaudited-data,"
            " proprietary-language, unproven-model, ready-made-model, many-tasks, sensitive-decisions, regulated,"
            " no-experts.",
            example='["regulated", "many-tasks"]',
        ),
        Flag(
            "--data-changes-every",
            type=float,
            panel=LIMITS,
            help="Days between changes of the facts.",
            example="7",
        ),
        Flag(
            "--quality-floor",
            type=float,
            panel=MONEY,
            help="Retrain when quality falls to this share, e.g. 0.9.",
            example="0.9",
        ),
        Flag(
            "--quality-value",
            type=float,
            panel=MONEY,
            help="USD a month that full quality is worth; sets the interval that costs least.",
            example="20000",
        ),
        Flag("--retraining", default="scratch", panel=MONEY, help="scratch or incremental. [scratch]"),
        Flag(
            "--teacher",
            panel=MONEY,
            help="API model (provider/model) that writes the rows in place of people.",
            example='"openai/gpt-5.6-sol"',
        ),
        Flag(
            "--judge",
            panel=MONEY,
            help="API model (provider/model) that judges requests in production.",
            example='"openai/gpt-5.6-luna"',
        ),
        settings(),
        profile(),
        as_of(),
        Flag("--draws", type=int, default=10_000, panel=MONEY, help="Draws of the uncertainty. [10000]"),
        Flag("--seed", type=int, default=0, panel=MONEY, help="Seed of the uncertainty. [0]"),
        as_json(),
        Flag(
            "--out",
            type=Place(),
            panel=OUTPUT,
            help="Folder for report.html, budget.pdf, budget.xlsx, charts, plan.json and plan.csv.",
        ),
        Flag("--format", panel=OUTPUT, help="tables, markdown (fit for a pull request) or json. [tables]"),
        Flag("--charts", panel=OUTPUT, help="Formats of the chart files: png, svg or png,svg. [png]"),
        Flag("--dpi", type=int, panel=OUTPUT, help="Pixels per inch of a PNG. [150]"),
        Flag("--theme", panel=OUTPUT, help="light or dark: colours of the chart files. [light]"),
        Flag("--paper", panel=OUTPUT, help="a4 or letter: size of the printed pages. [a4]"),
        Flag("--focus", is_flag=True, panel=OUTPUT, help="Also focus.csv: the costs under FinOps FOCUS names."),
    )


def compare_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost compare``."""
    several = click.Argument(
        ["files"], nargs=-1, required=True, type=click.Path(path_type=Path), metavar="A.TOML B.TOML ..."
    )
    return (several, profile(), as_json())


def breakeven_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost breakeven``: those of a plan, and what is varied."""
    text = "NAME=LOW:HIGH[:POINTS], on a log scale from a factor of 10 on, or NAME=A,B,C; a flag or assumption."
    folder = "Folder for breakeven.csv and breakeven.png."
    return (
        Flag("--vary", panel=WORK, required=True, multiple=True, help=f"{text} E.g. requests-per-day=1e3:1e7."),
        *_asked_flags(),
        as_json(),
        Flag("--out", type=Place(), panel=OUTPUT, help=folder),
    )


def sweep_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost sweep``: those of a plan, and what is varied."""
    text = "NAME=A,B,C or NAME=LOW:HIGH[:POINTS], on a log scale from a factor of 10 on; repeatable."
    file = "File to write, .csv or .parquet. [CSV on stdout]"
    return (
        Flag("--vary", panel=WORK, required=True, multiple=True, help=text),
        *_asked_flags(),
        Flag("--out", type=Place(), panel=OUTPUT, help=file),
    )


def _asked_flags() -> list[click.Parameter]:
    """Flags of a plan without those of its output."""
    return [flag for flag in plan_flags() if not (isinstance(flag, Flag) and flag.panel == OUTPUT)]
