"""``ftcost measure``: real training steps on this machine, as rows for ``validate`` and ``calibrate``."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import click

from estimator.accelerators import accelerators
from estimator.assumptions import Assumptions
from estimator.errors import InputError, UnknownNameError
from estimator.measuring.rows import Row, described, read_rows, rows_csv
from estimator.measuring.runner import Worker, run_job
from estimator.measuring.session import (
    DONE,
    SOURCE,
    Device,
    check_packages,
    find_device,
    in_order,
    run_settings,
)
from estimator.measuring.settings import GRIDS, Setting, read_grid, setting
from reports.commands.sweep import check_target
from reports.console import say
from reports.files import write_files
from reports.flags import positive, registry, whole
from reports.screen import Screen, numbers, words
from reports.style import duration

INTERRUPTED = 130
NOT_RUN = "not run"
DEVICES = ("accelerator", "cpu")
MOST_STEPS = 10_000
CEILING_COLUMNS = ("kind", "dtype", "shape", "value", "unit", "share_of_peak", "gpu", "device", "date", "notes")
TERA, GIGA = 1e12, 1e9
ONE_SETTING = (
    "method", "quantization", "weights_dtype", "autocast", "optimizer", "recompute", "attention", "stack", "loss",
    "lora_rank", "lora_targets", "micro_batch", "seq_len",
)  # fmt: skip
"""Flags of one setting, which a grid rules out."""
PEAKS = {
    "bf16": "bf16_flop_per_s",
    "fp16": "fp16_flop_per_s",
    "fp32": "fp32_flop_per_s",
    "fp8": "fp8_flop_per_s",
}


def measure(
    given: Mapping[str, Any], *, worker: Worker = run_job, check: Callable[[], None] = check_packages
) -> int:
    """Run what the flags ask for; the exit code, 0 where at least one setting came through.

    Args:
        given: value of every flag of ``ftcost measure`` by its name.
        worker: what runs a job; a child process.
        check: refuses where the packages that the child needs are missing.

    Raises:
        InputError: a flag, a file or a machine that cannot be used; nothing was written.
    """
    out: Path = given["out"]
    settings = _settings(given)
    steps = whole(given["steps"], flag="--steps", low=1, high=MOST_STEPS) or 1
    limit_s = positive(given["limit_s"], flag="--limit-s") or 1.0
    if given["device"] not in DEVICES:
        raise UnknownNameError("device", given["device"], DEVICES, where="--device")
    check_target(out)
    if out.exists() and not given["append"]:
        raise InputError(f"--out {out} exists. Name another file, or go on with it by --append.")
    before = read_rows(out) if out.exists() else []
    constants = registry(given["profile"])
    today = date.today().isoformat()
    if given["predict_only"]:
        return _predict(settings, constants, given, out=out, before=before, day=today)
    check()
    device = find_device(worker=worker, cpu=given["device"] == "cpu", gpu=given["gpu"])
    for warning in device.warnings:
        say(f"ftcost: {warning}")
    pairs = in_order(settings, constants, device=device)
    known = {row["id"] for row in before if row["gpu"] == device.gpu and row["outcome"] in DONE}
    pairs = [pair for pair in pairs if pair[0].id not in known]
    mine = {pair[0].id for pair in pairs}
    rows = [row for row in before if not (row["gpu"] == device.gpu and row["id"] in mine)]
    kept = len(rows)
    if not pairs:
        say(f"ftcost: {out} holds every one of these settings already.")
        return 0
    say(f"{device.name} ({device.gpu}): {_counted(len(pairs), 'setting')}, the smallest first")
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended from outside: as by Ctrl-C
        if not given["no_ceilings"]:
            _ceilings(worker, device, limit_s=limit_s, out=out, day=today)
        for done in run_settings(pairs, worker=worker, device=device, steps=steps, limit_s=limit_s, day=today):
            rows.append(done.row)
            write_files(out.parent, {out.name: rows_csv(rows)})
            left = f"; about {_rest(done.left_s)} left" if done.place < done.total else ""
            say(f"[{done.place} of {done.total}] {done.row['id']}: {_said(done.row)}{left}")
    except KeyboardInterrupt:
        finished = len(rows) - kept
        where = (
            f"{_counted(finished, 'new row')} in {out}; --append goes on" if finished else "no row was finished"
        )
        say(f"ftcost: interrupted; the device is free; {where}.")
        return INTERRUPTED
    show_rows(rows[kept:], Screen())
    say(f"wrote {out}")
    if not any(row["outcome"] == "ok" for row in rows[kept:]):
        say("ftcost: no setting came through; the column notes says why.")
        return 1
    if device.gpu in accelerators():
        say(f"ftcost calibrate {out} fits a profile to it.")
    return 0


def _settings(given: Mapping[str, Any]) -> list[Setting]:
    if given["grid"] is not None:
        ignored = [f"--{name.replace('_', '-')}" for name in ONE_SETTING if given[name] is not None]
        if ignored:
            raise InputError(
                f"--grid {given['grid']} has settings of its own, and {', '.join(ignored)}"
                f" {'is' if len(ignored) == 1 else 'are'} of one. Drop either; --model replaces the grid's models."
            )
        return read_grid(given["grid"], model=given["model"])
    if given["model"] is None:
        raise click.UsageError(f"Missing option '--model' / '-m', or --grid ({', '.join(GRIDS)} or a file).")
    cells = {name: str(given[name]) for name in ("model", *ONE_SETTING) if given[name] is not None}
    cells = {"method": "lora", "seq_len": "2048", **cells}
    if given["lora_rank"] is not None:
        cells["lora_rank"] = f"{given['lora_rank']:g}"
    if given["autocast"] is not None:
        cells["autocast"] = "yes" if given["autocast"] else "no"
    return [setting(cells, where="measure")]


def _predict(
    settings: Sequence[Setting],
    constants: Assumptions,
    given: Mapping[str, Any],
    *,
    out: Path,
    before: Sequence[Row],
    day: str,
) -> int:
    """Rows with predictions alone, for a card that need not be here."""
    if given["gpu"] is None:
        raise InputError("--predict-only needs --gpu: the card to predict for. `ftcost gpus` lists them.")
    if before:
        raise InputError("--predict-only writes a file of its own; drop --append and name another --out.")
    from estimator.accelerators import resolve_accelerator

    record = resolve_accelerator(given["gpu"])
    device = Device(kind="", gpu=record.id, name=record.label)
    rows = [
        {**described(one, source=SOURCE, day=day), **forecast, "gpu": record.id, "outcome": NOT_RUN}
        for one, forecast in in_order(settings, constants, device=device)
    ]
    write_files(out.parent, {out.name: rows_csv(rows)})
    show_rows(rows, Screen())
    say(f"wrote {out}")
    return 0


def _ceilings(worker: Worker, device: Device, *, limit_s: float, out: Path, day: str) -> None:
    """Probe the device's own ceilings, write them beside the rows, and say the best of each kind."""
    answer = worker({"kind": "ceilings", "device": device.kind}, limit_s)
    if answer["outcome"] != "ok":
        say(f"ftcost: ceilings not measured ({answer['outcome']}: {answer.get('message', '')}); going on.")
        return
    rows = [
        {**row, "share_of_peak": _share(row, device), "gpu": device.gpu, "device": device.name, "date": day}
        for row in answer["ceilings"]
    ]
    name = f"{out.stem}-ceilings{out.suffix}"
    write_files(out.parent, {name: rows_csv(rows, CEILING_COLUMNS)})
    best: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        key = (row["kind"], row["dtype"])
        if row["value"] and float(row["value"]) >= float(best.get(key, row)["value"]):
            best[key] = row
    for row in best.values():
        share = f", {100 * float(row['share_of_peak']):.0f} % of the peak" if row["share_of_peak"] else ""
        label = " ".join(part for part in (row["kind"], row["dtype"], row["shape"]) if part)
        say(f"ceiling: {label}: {float(row['value']):,.4g} {row['unit']}{share}")
    say(f"wrote {out.parent / name}")


def _share(row: Mapping[str, str], device: Device) -> str:
    """The value as a share of what the catalogue says the card's peak is; "" where there is none."""
    if device.gpu not in accelerators() or not row["value"]:
        return ""
    card = accelerators()[device.gpu].accelerator
    peak = {
        "matrix product": float(getattr(card, PEAKS.get(row["dtype"], "fp32_flop_per_s"))) / TERA,
        "copy": float(card.memory_bytes_per_s) / GIGA,
        "link": float(card.link_bytes_per_s) / GIGA,
    }.get(row["kind"], 0.0)
    return f"{float(row['value']) / peak:.4f}" if peak else ""


def _rest(seconds: float) -> str:
    """Time left, in seconds where it is short.

    >>> _rest(42.0), _rest(600.0)
    ('42 s', '10 min')
    """
    return f"{seconds:.0f} s" if seconds < 90.0 else duration(seconds / 3600.0)


def _counted(number: int, what: str) -> str:
    """A number of things.

    >>> _counted(1, "setting"), _counted(2, "setting")
    ('1 setting', '2 settings')
    """
    return f"{number} {what}{'' if number == 1 else 's'}"


def _said(row: Row) -> str:
    if row["outcome"] != "ok":
        return f"{row['outcome']}{': ' + row['notes'] if row.get('notes') else ''}"
    held = f"{float(row['peak_memory_gib']):.2f} GiB allocated, " if row.get("peak_memory_gib") else ""
    return f"{held}{float(row['tokens_per_s_per_gpu']):,.0f} tokens/s"


def show_rows(rows: Sequence[Row], screen: Screen) -> None:
    """Memory and speed, expected and found; the expected alone where nothing was run."""
    expected = ("predicted_allocated_gib", ".2f"), ("predicted_tokens_per_s_per_gpu", ",.0f")
    found = ("peak_memory_gib", ".2f"), ("tokens_per_s_per_gpu", ",.0f")
    if all(row["outcome"] == NOT_RUN for row in rows):
        cells = (expected[0], ("predicted_device_gib", ".2f"), expected[1])
        titles = [*words("setting"), *numbers("GiB of tensors", "on the card", "tokens/s")]
        screen.table(titles, [[row["id"], *(_number(row.get(key), form) for key, form in cells)] for row in rows])
        return
    titles = numbers("expected", "GiB", "expected", "tokens/s")
    shape = (expected[0], found[0], expected[1], found[1])
    screen.table(
        [*words("setting"), *titles, *words("outcome")],
        [[row["id"], *(_number(row.get(key), form) for key, form in shape), row["outcome"]] for row in rows],
    )
    if any(row.get("peak_memory_gib") for row in rows):
        screen.line("GiB: peak of the tensors on the card; the file also holds the pool's and the device's.")


def _number(text: str | None, form: str) -> str:
    return format(float(text), form) if text else "-"
