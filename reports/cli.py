"""The command line: ``ftcost``. Flags in, one result object, tables or files out.

Exit codes: 0 answer; 1 bad input or data; 2 wrong usage; 3 a valid question whose answer is "nothing fits".
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from estimator.errors import InputError, NothingFitsError
from reports.console import results, say

BAD_INPUT, NOTHING_FITS, INTERRUPTED = 1, 3, 130

app = typer.Typer(
    name="ftcost",
    help=(
        "What fine-tuning a language model will cost, before a dollar is spent: training, retrains and serving,"
        " against prompting an API.\n\nExit codes: 0 answer; 1 bad input or data; 2 wrong usage; 3 nothing fits."
    ),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

WORK, TRAIN, SERVE, MONEY, OUTPUT = "Workload", "Training", "Serving and baselines", "Money and time", "Output"


def main() -> None:
    """The entry point: runs the program and turns its errors into messages and exit codes."""
    with _clean_exit():
        app()


@contextmanager
def _clean_exit() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        say(f"ftcost: {error}")
        sys.exit(BAD_INPUT)
    except NothingFitsError as error:
        say(f"ftcost: {error}")
        sys.exit(NOTHING_FITS)
    except KeyboardInterrupt:
        say("ftcost: interrupted; nothing was written.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader of the pipe has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        say(f"ftcost: {error.strerror or error}: {error.filename or ''}".rstrip(": "))
        sys.exit(BAD_INPUT)


def _version(asked: bool) -> None:
    if asked:
        from importlib import metadata

        print(f"ftcost {metadata.version('ftcost')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _flag(*names: str, panel: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help, show_default=False, **more)


ModelFlag = Annotated[
    str,
    _flag("--model", "-m", panel=WORK, help="Size (7b), name, hub id, or the path of a Hugging Face config.json."),
]
AsOfFlag = Annotated[
    str | None, _flag("--as-of", panel=MONEY, help="Day whose prices hold, YYYY-MM-DD. Default: the newest price.")
]
SetFlag = Annotated[
    list[str] | None,
    _flag("--set", panel=MONEY, help="Any assumption, as name=value; repeatable. See `ftcost assumptions`."),
]
JsonFlag = Annotated[bool, _flag("--json", panel=OUTPUT, help="JSON on stdout in place of tables.")]


def _day(text: str | None) -> Any:
    from pricing import newest_price_day
    from reports.flags import parse_day

    return parse_day(text, flag="--as-of") or newest_price_day()


@app.command()
def plan(
    model: ModelFlag,
    rows: Annotated[float | None, _flag("--rows", "-r", panel=WORK, help="Rows of training data. [10000]")] = None,
    tokens_per_row: Annotated[
        float | None, _flag("--tokens-per-row", panel=WORK, help="Tokens per row, prompt and answer. [600]")
    ] = None,
    epochs: Annotated[float | None, _flag("--epochs", panel=WORK, help="Passes over the rows. [3]")] = None,
    seq_len: Annotated[
        float | None, _flag("--seq-len", panel=WORK, help="Tokens per training sequence. [2048]")
    ] = None,
    packing: Annotated[
        bool, _flag("--packing/--no-packing", panel=WORK, help="Fill sequences with several rows. [packing]")
    ] = True,
    method: Annotated[
        list[str] | None, _flag("--method", panel=TRAIN, help="full, lora or qlora; repeatable. [all three]")
    ] = None,
    gpu: Annotated[
        list[str] | None, _flag("--gpu", panel=TRAIN, help="Only these cards; repeatable. See `ftcost gpus`.")
    ] = None,
    gpus: Annotated[int | None, _flag("--gpus", panel=TRAIN, help="Exactly this many cards. [1 to 64]")] = None,
    provider: Annotated[
        list[str] | None, _flag("--provider", panel=TRAIN, help="Only these providers; repeatable.")
    ] = None,
    region: Annotated[
        list[str] | None, _flag("--region", panel=TRAIN, help="Only these regions; repeatable.")
    ] = None,
    marketplaces: Annotated[
        bool,
        _flag("--marketplaces/--no-marketplaces", panel=TRAIN, help="Also rent strangers' machines. [no]"),
    ] = False,
    spot: Annotated[bool, _flag("--spot/--on-demand", panel=TRAIN, help="Kind of GPU price. [on-demand]")] = False,
    lora_rank: Annotated[
        float | None, _flag("--lora-rank", panel=TRAIN, help="Rank of the adapters. [16]")
    ] = None,
    lora_targets: Annotated[
        str | None,
        _flag(
            "--lora-targets",
            panel=TRAIN,
            help='Adapted modules: "q k v o gate up down head", attention, all. [all]',
        ),
    ] = None,
    quantization: Annotated[
        str | None, _flag("--quantization", panel=TRAIN, help="Of the frozen base under qlora. [nf4-double]")
    ] = None,
    micro_batch: Annotated[
        int | None, _flag("--micro-batch", panel=TRAIN, help="Sequences per GPU and micro-step. [searched]")
    ] = None,
    global_batch: Annotated[
        float | None, _flag("--global-batch", panel=TRAIN, help="Sequences per optimizer step. [32]")
    ] = None,
    recompute: Annotated[
        str | None, _flag("--recompute", panel=TRAIN, help="none, selective or full. [searched]")
    ] = None,
    optimizer: Annotated[str | None, _flag("--optimizer", panel=TRAIN, help="[adamw-fused]")] = None,
    sharding: Annotated[
        str | None, _flag("--sharding", panel=TRAIN, help="none, ddp, zero1, zero2, fsdp, hsdp. [searched]")
    ] = None,
    stack: Annotated[str | None, _flag("--stack", panel=TRAIN, help="Training software. [hf]")] = None,
    loss: Annotated[str | None, _flag("--loss", panel=TRAIN, help="full, chunked or fused. [full]")] = None,
    requests_per_day: Annotated[
        float | None, _flag("--requests-per-day", panel=SERVE, help="Requests served per day. [10000]")
    ] = None,
    input_tokens: Annotated[
        float | None, _flag("--input-tokens", panel=SERVE, help="Instructions and user text of a request. [600]")
    ] = None,
    output_tokens: Annotated[
        float | None, _flag("--output-tokens", panel=SERVE, help="Output tokens of a request. [200]")
    ] = None,
    few_shot_tokens: Annotated[
        float | None, _flag("--few-shot-tokens", panel=SERVE, help="Examples in a few-shot prompt. [1500]")
    ] = None,
    context_tokens: Annotated[
        float | None, _flag("--context-tokens", panel=SERVE, help="Retrieved text per request. [3000]")
    ] = None,
    baseline: Annotated[
        list[str] | None,
        _flag("--baseline", panel=SERVE, help="API model as provider/model; repeatable. [one per price tier]"),
    ] = None,
    horizon_months: Annotated[
        float | None, _flag("--horizon-months", panel=MONEY, help="Months the plan looks ahead. [12]")
    ] = None,
    retrain_every: Annotated[
        float | None, _flag("--retrain-every", panel=MONEY, help="Months between retrains. [4]")
    ] = None,
    experiments: Annotated[
        float | None, _flag("--experiments", panel=MONEY, help="Experiments per production run. [6]")
    ] = None,
    budget: Annotated[
        float | None, _flag("--budget", panel=MONEY, help="Most USD that one production run may cost.")
    ] = None,
    deadline_hours: Annotated[
        float | None, _flag("--deadline-hours", panel=MONEY, help="Most hours that one production run may take.")
    ] = None,
    set_: SetFlag = None,
    as_of: AsOfFlag = None,
    seed: Annotated[int, _flag("--seed", panel=MONEY, help="Seed of the uncertainty. [0]")] = 0,
    json_: JsonFlag = False,
    out: Annotated[
        Path | None, _flag("--out", panel=OUTPUT, help="Folder for budget.pdf, budget.xlsx, charts and plan.json.")
    ] = None,
) -> None:
    """Plan it: recommendation, training options, months of cost, break-even, risk and advice."""
    from estimator.planning import plan as work_out
    from reports.flags import scenario

    asked = scenario(
        model=model,
        workload={
            "rows": rows,
            "tokens_per_row": tokens_per_row,
            "epochs": epochs,
            "seq_len": seq_len,
            "global_batch": global_batch,
            "lora_rank": lora_rank,
            "requests_per_day": requests_per_day,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "few_shot_tokens": few_shot_tokens,
            "context_tokens": context_tokens,
            "horizon_months": horizon_months,
            "retrain_every_months": retrain_every,
            "experiments": experiments,
        },
        settings=set_ or (),
        methods=method or (),
        categories={
            "quantization": quantization,
            "recompute": recompute,
            "optimizer": optimizer,
            "sharding": sharding,
            "stack": stack,
            "loss": loss,
        },
        gpus=gpu or (),
        gpu_count=gpus,
        micro_batch=micro_batch,
        lora_targets=lora_targets,
        spot=spot,
        budget_usd=budget,
        deadline_hours=deadline_hours,
        as_of=_day(as_of),
        seed=seed,
        providers=tuple(provider or ()),
        regions=tuple(region or ()),
        packing=packing,
        marketplaces=marketplaces,
        baselines=tuple(baseline or ()),
    )
    answer = work_out(asked, command=shlex.join(["ftcost", *sys.argv[1:]]))
    if out is not None:
        from reports.write import write_reports

        for path in write_reports(answer, out, progress=say if sys.stderr.isatty() else None):
            say(f"wrote {path}")
    if json_:
        from reports.plan_json import plan_text

        sys.stdout.write(plan_text(answer))
    else:
        from reports.terminal import show_plan

        show_plan(answer, results())


@app.command()
def estimate(
    model: ModelFlag,
    method: Annotated[str, _flag("--method", panel=TRAIN, help="full, lora or qlora.")] = "lora",
    gpu: Annotated[str, _flag("--gpu", panel=TRAIN, help="Card. [a100-80gb-sxm]")] = "a100-80gb-sxm",
    gpus: Annotated[int, _flag("--gpus", panel=TRAIN, help="Cards of the whole job. [1]")] = 1,
    sharding: Annotated[
        str | None, _flag("--sharding", panel=TRAIN, help="none, ddp, zero1, zero2, fsdp, hsdp. [none, or ddp]")
    ] = None,
    tp: Annotated[int, _flag("--tp", panel=TRAIN, help="Tensor parallel degree. [1]")] = 1,
    pp: Annotated[int, _flag("--pp", panel=TRAIN, help="Pipeline parallel degree. [1]")] = 1,
    cp: Annotated[int, _flag("--cp", panel=TRAIN, help="Context parallel degree. [1]")] = 1,
    ep: Annotated[int, _flag("--ep", panel=TRAIN, help="Expert parallel degree. [1]")] = 1,
    offload: Annotated[
        str | None, _flag("--offload", panel=TRAIN, help="params, activations or all, to host memory.")
    ] = None,
    micro_batch: Annotated[
        int, _flag("--micro-batch", panel=WORK, help="Sequences per GPU and micro-step. [1]")
    ] = 1,
    global_batch: Annotated[
        int | None,
        _flag("--global-batch", panel=WORK, help="Sequences per optimizer step. [one micro-batch per replica]"),
    ] = None,
    seq_len: Annotated[int, _flag("--seq-len", panel=WORK, help="Tokens per sequence. [2048]")] = 2048,
    recompute: Annotated[
        str | None, _flag("--recompute", panel=TRAIN, help="none, selective or full. [the stack's default]")
    ] = None,
    quantization: Annotated[
        str | None,
        _flag("--quantization", panel=TRAIN, help="nf4, nf4-double, int8, gptq-int4, gptq-int8. [nf4 for qlora]"),
    ] = None,
    weights_dtype: Annotated[str | None, _flag("--weights-dtype", panel=TRAIN, help="bf16, fp16 or fp32.")] = None,
    compute_dtype: Annotated[
        str | None, _flag("--compute-dtype", panel=TRAIN, help="bf16, fp16, fp8, mxfp8 or nvfp4.")
    ] = None,
    autocast: Annotated[
        bool | None,
        _flag(
            "--autocast/--no-autocast", panel=TRAIN, help="Matrix products under autocast. [the stack's default]"
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        _flag(
            "--optimizer",
            panel=TRAIN,
            help='adamw, adamw-8bit, paged-adamw ...; "NAME in-backward" fuses the step.',
        ),
    ] = None,
    lora_rank: Annotated[
        float | None, _flag("--lora-rank", panel=TRAIN, help="Rank of the adapters. [16]")
    ] = None,
    lora_targets: Annotated[
        str | None, _flag("--lora-targets", panel=TRAIN, help='"q k v o gate up down head", attention, all. [all]')
    ] = None,
    also_trained: Annotated[
        str | None, _flag("--also-trained", panel=TRAIN, help='Modules trained whole: "embeddings head".')
    ] = None,
    attention: Annotated[str | None, _flag("--attention", panel=TRAIN, help="flash or eager. [flash]")] = None,
    stack: Annotated[str | None, _flag("--stack", panel=TRAIN, help="Training software. [hf]")] = None,
    loss: Annotated[str | None, _flag("--loss", panel=TRAIN, help="full, chunked or fused. [the stack's]")] = None,
    set_: SetFlag = None,
    json_: JsonFlag = False,
) -> None:
    """One exact configuration: memory by part, FLOP, and where the step's time goes."""
    from reports.estimate import answer_estimate, run_from_flags, show_estimate

    run, values = run_from_flags(
        model=model,
        gpu=gpu,
        settings=set_ or (),
        counts={"--gpus": gpus, "--tp": tp, "--pp": pp, "--cp": cp, "--ep": ep},
        micro_batch=micro_batch,
        global_batch=global_batch,
        seq_len=seq_len,
        lora_rank=lora_rank,
        cells={
            "method": method,
            "sharding": sharding,
            "offload": offload,
            "recompute": recompute,
            "quantization": quantization,
            "weights_dtype": weights_dtype,
            "compute_dtype": compute_dtype,
            "autocast": None if autocast is None else ("yes" if autocast else "no"),
            "optimizer": optimizer,
            "lora_targets": lora_targets,
            "also_trained": also_trained,
            "attention": attention,
            "stack": stack,
            "loss": loss,
        },
    )
    answer = answer_estimate(run=run, constants=values)
    if json_:
        import json

        print(json.dumps(answer, indent=2))
    else:
        show_estimate(run=run, answer=answer, console=results())


@app.command()
def validate(
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs", help="CSV of measured runs; only model, method, gpu, micro_batch, seq_len are required."
        ),
    ] = None,
    set_: SetFlag = None,
    json_: JsonFlag = False,
) -> None:
    """How far the predictions are from measured runs: yours, or those the package ships."""
    from estimator.validation import validate as check
    from reports.flags import assumptions_with
    from reports.validation import show_validation, validation_json

    found = check(path=runs, constants=assumptions_with({}, set_ or ()))
    if json_:
        import json

        print(json.dumps(validation_json(found), indent=2))
    else:
        show_validation(found, results(), own=runs is not None)


TextArgument = Annotated[str | None, typer.Argument(help="Show only rows that contain this text.")]


@app.command()
def models(text: TextArgument = None, json_: JsonFlag = False) -> None:
    """Models of the catalogue: shape, parameters, licence."""
    from reports.catalogues import show_models

    show_models(text or "", as_json=json_)


@app.command()
def gpus(text: TextArgument = None, json_: JsonFlag = False) -> None:
    """Accelerators of the catalogue: memory, bandwidth, dense peaks, links."""
    from reports.catalogues import show_gpus

    show_gpus(text or "", as_json=json_)


@app.command()
def prices(
    text: TextArgument = None,
    kind: Annotated[str, typer.Option("--kind", help="gpu, api or hosted.", show_default=True)] = "gpu",
    as_of: AsOfFlag = None,
    json_: JsonFlag = False,
) -> None:
    """Prices in force on a day: GPU offers, API models, hosted fine-tuning."""
    from reports.catalogues import show_prices

    show_prices(text or "", kind=kind, as_of=_day(as_of), as_json=json_)


@app.command()
def assumptions(text: TextArgument = None, json_: JsonFlag = False) -> None:
    """Every number that is not a fact of the input: value, range, unit, status, source."""
    from reports.catalogues import show_assumptions

    show_assumptions(text or "", as_json=json_)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="A formula, a cost group's series, or an assumption.")],
) -> None:
    """A formula with its equation, units, validity and source; or an assumption."""
    from reports.explain import show_explanation

    show_explanation(name, results())
