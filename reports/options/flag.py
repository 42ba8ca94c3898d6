"""A flag with its panel, and the flags that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
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


class Place(click.Path):
    """The path of a file or folder to write; an empty one is refused, for it would mean the present folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            self.fail("the path is empty. Write . for the present folder.", param, ctx)
        return super().convert(value, param, ctx)


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


def listing_flags() -> Sequence[click.Parameter]:
    """An optional text to look for, and JSON."""
    return (click.Argument(["text"], required=False, default=""), as_json())
