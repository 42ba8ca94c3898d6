"""Every flag of every command, once: name, type, panel and help; defaults of assumptions are the registry's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

WORK, TRAIN, SERVE = "Workload", "Training", "Serving and baselines"
MONEY, LIMITS, OUTPUT = "Money and time", "Limits and goals", "Output"
SETTINGS_NAME = "settings"


class Flag(click.Option):
    """An option with the panel it is shown in.

    Args:
        assumption: the registry row that the flag sets; its base is shown as the default.
        example: a value as a scenario file writes it, for a flag without a default.
    """

    def __init__(
        self, *names: str, panel: str, help: str, assumption: str = "", example: str = "", **more: Any
    ) -> None:
        super().__init__(names, help=help, **more)
        self.panel = panel
        self.assumption = assumption
        self.example = example


def number(*names: str, assumption: str, panel: str = WORK, help: str) -> Flag:
    """A flag that sets an assumption."""
    return Flag(*names, type=float, panel=panel, help=help, assumption=assumption)


def model(*, required: bool = True) -> Flag:
    """The model; where a scenario file may name it, not required."""
    text = "Size (7b), name, hub id, or the path of a Hugging Face config.json."
    return Flag("--model", "-m", panel=WORK, help=text, example='"7b"', required=required)


def scenario_file() -> click.Argument:
    """A scenario file, whose values the flags override."""
    return click.Argument(["file"], required=False, type=click.Path(path_type=Path), metavar="[PLAN.TOML]")


def settings() -> Flag:
    """Any assumption by name."""
    text = "Any assumption, as name=value; repeatable. See `ftcost assumptions`."
    return Flag("--set", SETTINGS_NAME, panel=MONEY, help=text, multiple=True)


def profile() -> Flag:
    """Factors measured on the user's machine."""
    text = "Profile of `ftcost calibrate`, or the path of its .toml: factors measured on your machine."
    return Flag("--profile", panel=MONEY, help=text, example='"mybox"')


def as_of() -> Flag:
    """The day of the prices."""
    text = "Day whose prices hold, YYYY-MM-DD. [the newest price]"
    return Flag("--as-of", panel=MONEY, help=text, example='"2026-11-09"')


def as_json() -> Flag:
    """JSON in place of tables."""
    return Flag("--json", "as_json", is_flag=True, panel=OUTPUT, help="JSON on stdout in place of tables.")


def several(*names: str, panel: str, help: str, example: str) -> Flag:
    """A flag that may be repeated."""
    return Flag(*names, multiple=True, panel=panel, help=help, example=example)


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
            help="Your price as GPU=USD per GPU-hour; repeatable. Replaces all others of that card.",
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
            help="also, only or none: machines without accelerators, for small models. [also; none with --gpu]",
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
            type=click.Path(path_type=Path),
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
        Flag("--vary", panel=WORK, required=True, help=f"{text} E.g. requests-per-day=1e3:1e7."),
        *_asked_flags(),
        as_json(),
        Flag("--out", type=click.Path(path_type=Path), panel=OUTPUT, help=folder),
    )


def sweep_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost sweep``: those of a plan, and what is varied."""
    text = "NAME=A,B,C or NAME=LOW:HIGH[:POINTS], on a log scale from a factor of 10 on; repeatable."
    file = "File to write, .csv or .parquet. [CSV on stdout]"
    return (
        Flag("--vary", panel=WORK, required=True, multiple=True, help=text),
        *_asked_flags(),
        Flag("--out", type=click.Path(path_type=Path), panel=OUTPUT, help=file),
    )


def _asked_flags() -> list[click.Parameter]:
    """Flags of a plan without those of its output."""
    return [flag for flag in plan_flags() if not (isinstance(flag, Flag) and flag.panel == OUTPUT)]


def estimate_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost estimate``: the vocabulary of measured runs."""

    def degree(name: str, what: str) -> Flag:
        return Flag(name, type=int, default=1, panel=TRAIN, help=f"{what} parallel degree. [1]")

    return (
        model(),
        Flag("--method", default="lora", panel=TRAIN, help="full, lora or qlora. [lora]"),
        Flag("--gpu", default="a100-80gb-sxm", panel=TRAIN, help="Card. [a100-80gb-sxm]"),
        Flag("--gpus", type=int, default=1, panel=TRAIN, help="Cards of the whole job. [1]"),
        Flag("--sharding", panel=TRAIN, help="none, ddp, zero1, zero2, fsdp, hsdp. [none, ddp, or fsdp for full]"),
        degree("--tp", "Tensor"),
        degree("--pp", "Pipeline"),
        degree("--cp", "Context"),
        degree("--ep", "Expert"),
        Flag("--offload", panel=TRAIN, help="params, activations or all, to host memory."),
        Flag("--micro-batch", type=int, default=1, panel=WORK, help="Sequences per GPU and micro-step. [1]"),
        Flag("--global-batch", type=int, panel=WORK, help="Sequences per step. [one micro-batch per replica]"),
        Flag("--seq-len", type=int, default=2048, panel=WORK, help="Tokens per sequence. [2048]"),
        Flag("--recompute", panel=TRAIN, help="none, selective or full. [the stack's default]"),
        Flag("--quantization", panel=TRAIN, help="nf4, nf4-double, int8, gptq-int4, gptq-int8. [nf4 for qlora]"),
        Flag("--weights-dtype", panel=TRAIN, help="bf16, fp16 or fp32. [bf16]"),
        Flag("--compute-dtype", panel=TRAIN, help="bf16, fp16, fp8, mxfp8 or nvfp4. [bf16]"),
        Flag(
            "--autocast/--no-autocast",
            default=None,
            panel=TRAIN,
            help="Matrix products under autocast. [the stack's default]",
        ),
        Flag(
            "--optimizer", panel=TRAIN, help='adamw, adamw-8bit, ...; "NAME in-backward" fuses the step. [adamw]'
        ),
        Flag("--lora-rank", type=float, panel=TRAIN, help="Rank of the adapters. [16]"),
        Flag("--lora-targets", panel=TRAIN, help='"q k v o gate up down head", attention or all. [all]'),
        Flag("--also-trained", panel=TRAIN, help='Modules trained whole: "embeddings head".'),
        Flag("--attention", panel=TRAIN, help="flash or eager. [flash]"),
        Flag("--stack", panel=TRAIN, help="Training software. [hf]"),
        Flag("--loss", panel=TRAIN, help="full, chunked or fused. [the stack's default]"),
        Flag("--what-if", is_flag=True, panel=OUTPUT, help="List the changes that would make it fit."),
        Flag("--plot", type=click.Path(path_type=Path), panel=OUTPUT, help="Roofline picture, a PNG file."),
        Flag("--dpi", type=int, panel=OUTPUT, help="Pixels per inch of the picture. [150]"),
        settings(),
        profile(),
        as_json(),
    )


def calibrate_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost calibrate``."""
    return (
        click.Argument(["file"], required=False, type=click.Path(path_type=Path), metavar="[RUNS.CSV]"),
        Flag("--name", panel=WORK, help="Name of the profile. [the file's name]", example='"mybox"'),
        Flag("--replace", is_flag=True, panel=OUTPUT, help="Write over a profile of that name."),
        Flag(
            "--config-dir",
            type=click.Path(path_type=Path),
            panel=OUTPUT,
            help="Configuration folder. [FTCOST_CONFIG_DIR, or the system's]",
        ),
        Flag("--list", "list_them", is_flag=True, panel=OUTPUT, help="List the profiles that there are."),
        as_json(),
    )


def measure_flags() -> Sequence[click.Parameter]:
    """Flags of ``ftcost measure``: one setting in the vocabulary of measured runs, or a grid of them."""
    return (
        model(required=False),
        Flag("--grid", panel=WORK, help="small, full, or a CSV or TOML file of settings, instead of one setting."),
        Flag("--method", default="lora", panel=TRAIN, help="full, lora or qlora. [lora]"),
        Flag("--micro-batch", type=int, default=1, panel=WORK, help="Sequences per step. [1]"),
        Flag("--seq-len", type=int, default=2048, panel=WORK, help="Tokens per sequence. [2048]"),
        Flag("--recompute", panel=TRAIN, help="none or full. [full]"),
        Flag("--quantization", panel=TRAIN, help="nf4 or nf4-double. [nf4 for qlora]"),
        Flag("--weights-dtype", panel=TRAIN, help="bf16, fp16 or fp32. [bf16]"),
        Flag("--autocast/--no-autocast", default=None, panel=TRAIN, help="Products under autocast. [no]"),
        Flag("--optimizer", panel=TRAIN, help="adamw, adamw-fused, adamw-8bit or paged-adamw. [adamw]"),
        Flag("--lora-rank", type=float, panel=TRAIN, help="Rank of the adapters. [16]"),
        Flag("--lora-targets", panel=TRAIN, help='"q k v o gate up down", attention or all. [all]'),
        Flag("--attention", panel=TRAIN, help="flash (PyTorch's fused kernels) or eager. [flash]"),
        Flag("--loss", panel=TRAIN, help="full (all logits) or fused (logits never stored). [full]"),
        Flag("--stack", panel=TRAIN, help="hf, or hf-compile for torch.compile. [hf]"),
        Flag("--steps", type=int, default=8, panel=WORK, help="Timed steps per setting, after the warm-up. [8]"),
        Flag(
            "--device",
            default="accelerator",
            panel=WORK,
            help="accelerator, or cpu for tiny models. [accelerator]",
        ),
        Flag("--limit-s", type=float, default=900.0, panel=WORK, help="Most seconds of one setting. [900]"),
        Flag("--no-ceilings", is_flag=True, panel=WORK, help="Leave out the probe of the card's own ceilings."),
        Flag(
            "--predict-only",
            is_flag=True,
            panel=OUTPUT,
            help="Write the settings with their predictions for --gpu, and measure nothing.",
        ),
        Flag("--gpu", panel=TRAIN, help="Card of --predict-only, or what an unknown card is. [the one found]"),
        profile(),
        Flag(
            "--out",
            type=click.Path(path_type=Path),
            required=True,
            panel=OUTPUT,
            help="CSV file of the rows; the ceilings go to NAME-ceilings.csv beside it.",
        ),
        Flag("--append", is_flag=True, panel=OUTPUT, help="Go on with a file; settings it holds are left out."),
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


def listing_flags() -> Sequence[click.Parameter]:
    """An optional text to look for, and JSON."""
    return (click.Argument(["text"], required=False, default=""), as_json())
