"""The command line: ``ftcost``. Flags in, one result object, tables or files out.

Exit codes: 0 answer; 1 bad input or data; 2 wrong usage; 3 a valid question whose answer is "nothing fits".
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

# No formula multiplies matrices: a pool of BLAS threads would only cost its start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from pricing.errors import InputError
from reports import options
from reports.console import say, settle_streams
from reports.help import PanelCommand, PanelGroup
from reports.screen import Screen

BAD_INPUT, NOTHING_FITS, INTERRUPTED = 1, 3, 130

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}

CELLS = (
    "method",
    "sharding",
    "offload",
    "recompute",
    "quantization",
    "weights_dtype",
    "compute_dtype",
    "optimizer",
    "lora_targets",
    "also_trained",
    "attention",
    "stack",
    "loss",
)
"""Flags of ``estimate`` that are columns of a measured run."""


def main() -> None:
    """The entry point: runs the program and turns its errors into messages and exit codes."""
    settle_streams()
    with _clean_exit():
        code = program.main(prog_name="ftcost", standalone_mode=False)
        sys.stdout.flush()
    if code:
        sys.exit(code)


def _stop_printing() -> NoReturn:
    """Leave quietly: the reader of the pipe has gone, and there is nobody left to tell."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _until_the_reader_leaves(command: Callable[..., None]) -> Callable[..., None]:
    """A command that ends well when its reader has read enough (``| head``)."""

    def run(*args: Any, **given: Any) -> None:
        try:
            command(*args, **given)
        except BrokenPipeError:
            _stop_printing()

    return run


@contextmanager
def _clean_exit() -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InputError as error:
        say(f"ftcost: {error}")
        sys.exit(BAD_INPUT)
    except (KeyboardInterrupt, click.Abort):
        say("ftcost: interrupted; no file was changed.")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _stop_printing()
    except OSError as error:
        say(f"ftcost: {error.strerror or error}: {error.filename or ''}".rstrip(": "))
        sys.exit(BAD_INPUT)


def _command_line() -> str:
    """What was asked, for the stamp of the reports: where they go is left out, so that they stay alike."""
    words = iter(sys.argv[1:])
    kept = [word for word in words if not (word.startswith("--out=") or (word == "--out" and next(words, "")))]
    return shlex.join(["ftcost", *kept])


@contextmanager
def _nothing_fits() -> Iterator[None]:
    from estimator.errors import NothingFitsError

    try:
        yield
    except NothingFitsError as error:
        say(f"ftcost: {error}")
        sys.exit(NOTHING_FITS)


def _with_file(given: Mapping[str, Any], *, model_needed: bool = True) -> Mapping[str, Any]:
    """The flags, with those of a scenario file where there is one."""
    if given["file"] is not None:
        from reports.commands.scenario_file import with_file

        return with_file(click.get_current_context(), model_needed=model_needed)
    if model_needed and given["model"] is None:
        raise click.UsageError("Missing option '--model' / '-m': or name a scenario file, see `ftcost init`.")
    return given


def plan(**given: Any) -> None:
    """Plan it: recommendation, training options, months of cost, break-even, risk and advice."""
    from estimator.numbers import keep_freed_memory
    from estimator.planning import plan as work_out
    from reports.flags import scenario_of
    from reports.layout import format_of, layout_of

    keep_freed_memory()
    asked = scenario_of(_with_file(given))
    layout = layout_of(given)
    form = format_of(given)
    with _nothing_fits():
        answer = work_out(asked, command=_command_line())
    if given["out"] is not None:
        from reports.write import write_reports

        told = say if sys.stderr.isatty() else None
        for path in write_reports(answer, given["out"], layout=layout, progress=told):
            say(f"wrote {path}")
    if form == "json":
        from reports.plan_json import plan_json_text

        sys.stdout.write(plan_json_text(answer))
    elif form == "markdown":
        from reports.markdown import plan_markdown

        sys.stdout.write(plan_markdown(answer))
    else:
        from reports.terminal import show_plan

        show_plan(answer, Screen())


def init(model: str | None) -> None:
    """A scenario file with every key and its default: `ftcost init > plan.toml`, then `ftcost plan plan.toml`."""
    from estimator.models import resolve_model
    from reports.commands.template import template

    if model is None:
        sys.stdout.write(template())
        return
    resolve_model(model)
    sys.stdout.write(template(model=model))


def compare(files: tuple[Path, ...], profile: str | None, as_json: bool) -> None:
    """Scenario files side by side: recommendation, costs, break-even, and the lines that differ."""
    from reports.commands import compare as comparison

    with _nothing_fits():
        found = comparison.compared(files, profile=profile)
    if as_json:
        sys.stdout.write(comparison.as_json(found))
    else:
        comparison.show(found, Screen())


def breakeven(**given: Any) -> None:
    """Cost of tuning and of every API model against one number, and where they cross."""
    from reports.commands import breakeven as curves
    from reports.commands.vary import only_axis, refuse_fixed
    from reports.files import check_directory, write_files

    if given["out"] is not None:
        check_directory(given["out"])
    varied = only_axis(given["vary"])
    refuse_fixed(click.get_current_context(), [varied])
    with _nothing_fits():
        found = curves.curve(dict(_with_file(given)), varied, command=_command_line())
    if given["out"] is not None:
        for path in write_files(given["out"], curves.files(found)):
            say(f"wrote {path}")
    if given["as_json"]:
        sys.stdout.write(curves.as_json(found))
    else:
        curves.show(found, Screen())


def sweep(**given: Any) -> None:
    """A grid of flags and assumptions as one CSV, a row per point and option."""
    from reports.commands import sweep as grids
    from reports.commands.vary import refuse_fixed

    if given["out"] is not None:
        grids.check_target(given["out"])
    refuse_fixed(click.get_current_context(), given["vary"])
    model_needed = not any(text.startswith("model=") for text in given["vary"])
    content = grids.sweep_csv(dict(_with_file(given, model_needed=model_needed)), given["vary"])
    if given["out"] is None:
        sys.stdout.write(content.decode())
    else:
        grids.write_table(given["out"], content)
        say(f"wrote {given['out']}")


def estimate(**given: Any) -> None:
    """One exact configuration: memory by part, FLOP, and where the step's time goes."""
    from reports.commands.estimate import (
        answer_estimate,
        expert_notes,
        machine_notes,
        run_from_flags,
        run_notes,
        show_estimate,
        show_what_if,
        what_if_rows,
    )
    from reports.commands.plot import Plot

    said = {None: None, True: "yes", False: "no"}
    yes_or_no = {name: said[given[name]] for name in ("autocast", "experts_quantized", "packed")}
    run, values = run_from_flags(
        model=given["model"],
        gpu=given["gpu"],
        settings=given["settings"],
        profile=given["profile"],
        counts={f"--{name}": given[name] for name in ("gpus", "tp", "pp", "cp", "ep")},
        micro_batch=given["micro_batch"],
        global_batch=given["global_batch"],
        seq_len=given["seq_len"],
        lora_rank=given["lora_rank"],
        cells={**{name: given[name] for name in CELLS}, **yes_or_no},
    )
    picture = Plot.of(given["plot"], dpi=given["dpi"])
    answer = answer_estimate(run=run, constants=values)
    if picture:
        picture.write(run=run, constants=values)
        say(f"wrote {picture.path}")
    if given["what_if"]:
        answer["what_if"] = what_if_rows(run=run, constants=values)
    if given["as_json"]:
        print(json.dumps(answer, indent=2))
        return
    screen = Screen()
    experts = expert_notes(run=run, answer=answer)
    notes = (*machine_notes(run=run, constants=values), *experts, *run_notes(run=run))
    show_estimate(run=run, answer=answer, screen=screen, notes=notes)
    if given["what_if"]:
        held = answer["memory"]
        fits = held["fits"] == "yes"
        show_what_if(answer["what_if"], limit_bytes=held["limit_bytes"], fits=fits, screen=screen)
    elif answer["memory"]["fits"] != "yes":
        screen.line("--what-if lists the changes that would make it fit.")


def serve_plan(**given: Any) -> None:
    """Replicas for a load on every card that can hold the model, cheapest first."""
    from estimator.limits import check_positions
    from estimator.models import resolve_model
    from reports.commands.serve import serve_answer, show_serve_plan
    from reports.flags import positive, serving_scenario, whole

    asked = serving_scenario(given)
    model = resolve_model(asked.model)
    window = positive(given["batch_window_hours"], flag="--batch-window-hours")
    if given["profile"] is not None:
        say(f"ftcost: profile {given['profile']} is of training steps; serving keeps the shipped constants.")
    with _nothing_fits():
        check_positions(asked, model)
        answer = serve_answer(
            scenario=asked,
            architecture=model.architecture,
            adapters=whole(given["adapters"], flag="--adapters", low=0, high=10_000) or 0,
            batch_window_hours=window,
        )
    if given["as_json"]:
        print(json.dumps({"schema": 1, "model": model.architecture.id, **answer.as_json()}, indent=2))
    else:
        show_serve_plan(answer, model=model.architecture.id, scenario=asked, screen=Screen())


def validate(
    runs: Path | None, summary: bool, settings: tuple[str, ...], profile: str | None, as_json: bool
) -> None:
    """How far the predictions are from measured runs: yours, or those the package ships."""
    from estimator.validation import validate as check
    from reports.commands.validation import (
        refuse_unpredicted,
        show_gain,
        show_validation,
        tell_unread,
        validation_json,
    )
    from reports.flags import assumptions_with

    found = check(path=runs, constants=assumptions_with({}, settings, profile=profile))
    tell_unread(found)
    before = None if profile is None else check(path=runs, constants=assumptions_with({}, settings))
    if as_json:
        print(json.dumps(validation_json(found, before=before), indent=2))
    else:
        if before is not None:
            show_gain(before, found, Screen(), profile=str(profile))
            if runs is None:
                print()
        show_validation(found, Screen(), own=runs is not None, brief=summary)
    if runs is not None:
        refuse_unpredicted(found, runs)


def measure(**given: Any) -> None:
    """Train a few real steps on this machine and write what they took: rows for validate and calibrate."""
    from reports.commands.measure import measure as work

    code = work(given)
    if code:
        sys.exit(code)


def calibrate(**given: Any) -> None:
    """Fit a few factors of your machine on measured runs and keep them as a profile for --profile."""
    from reports.commands import calibrate as fitting

    if given["list_them"]:
        fitting.show_profiles(given["config_dir"], as_json=given["as_json"])
        return
    if given["file"] is None:
        raise click.UsageError("Missing argument 'RUNS.CSV': a file of `ftcost measure`, or --list.")
    fitting.calibrate_file(
        given["file"],
        name=given["name"],
        folder=given["config_dir"],
        replace=given["replace"],
        as_json=given["as_json"],
    )


def models(text: str, as_json: bool) -> None:
    """Models of the catalogue: shape, parameters, licence."""
    from reports.commands.catalogues import show_models

    show_models(text, as_json=as_json)


def gpus(text: str, as_json: bool) -> None:
    """Accelerators of the catalogue: memory, bandwidth, dense peaks, links."""
    from reports.commands.catalogues import show_gpus

    show_gpus(text, as_json=as_json)


def prices(text: str, kind: str, as_of: str | None, as_json: bool) -> None:
    """Prices in force on a day: GPU offers, API models, hosted fine-tuning."""
    from reports.commands.catalogues import show_prices
    from reports.flags import price_day

    show_prices(text, kind=kind, as_of=price_day(as_of), as_json=as_json)


def assumptions(text: str, as_json: bool) -> None:
    """Every number that is not a fact of the input: value, range, unit, status, source."""
    from reports.commands.catalogues import show_assumptions

    show_assumptions(text, as_json=as_json)


def explain(name: str) -> None:
    """A formula with its equation, units, validity and source; or an assumption."""
    from reports.commands.explain import show_explanation

    show_explanation(name, Screen())


def completion(shell: str) -> None:
    """Shell completion: `ftcost completion bash >> ~/.bashrc` (or zsh, fish)."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise InputError(f"no completion for {shell!r}. Allowed: bash, zsh, fish.")
    print(kind(program, {}, "ftcost", "_FTCOST_COMPLETE").source())


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from estimator.version import VERSION

        print(f"ftcost {VERSION}")
        ctx.exit()


PROGRAM_HELP = (
    "What fine-tuning a language model will cost, before a dollar is spent: training, retrains and serving,"
    " against prompting an API.\n\nExit codes: 0 answer; 1 bad input or data; 2 wrong usage; 3 nothing fits."
)

program = PanelGroup(
    name="ftcost",
    help=PROGRAM_HELP,
    no_args_is_help=True,
    context_settings=SETTINGS,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version and leave.",
        )
    ],
)

PARAMETERS: dict[Any, Any] = {
    plan: options.plan_flags,
    init: lambda: (options.model(required=False),),
    compare: options.compare_flags,
    breakeven: options.breakeven_flags,
    sweep: options.sweep_flags,
    estimate: options.estimate_flags,
    serve_plan: options.serve_flags,
    validate: options.validate_flags,
    measure: options.measure_flags,
    calibrate: options.calibrate_flags,
    models: options.listing_flags,
    gpus: options.listing_flags,
    prices: lambda: (
        *options.listing_flags(),
        options.Flag("--kind", default="gpu", panel=options.OUTPUT, help="gpu, api or hosted. [gpu]"),
        options.as_of(),
    ),
    assumptions: options.listing_flags,
    explain: lambda: (click.Argument(["name"]),),
    completion: lambda: (click.Argument(["shell"]),),
}

for function, parameters in PARAMETERS.items():
    program.add_command(
        PanelCommand(
            name=function.__name__.replace("_", "-"),
            callback=_until_the_reader_leaves(function),
            params=list(parameters()),
            help=function.__doc__,
            context_settings=SETTINGS,
        )
    )
