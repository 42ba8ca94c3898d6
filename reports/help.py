"""Help in panels: options by subject, with the defaults that the registry holds."""

from __future__ import annotations

from typing import Any

import click


class PanelCommand(click.Command):
    """A command whose help shows its options in panels."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Draw the panels; rich is loaded only here."""
        from reports.console import results

        console = results()
        console.print()
        console.print(f" Usage: {ctx.command_path} {' '.join(self.collect_usage_pieces(ctx))}", style="bold")
        console.print()
        console.print(f" {self.help or ''}", soft_wrap=False)
        console.print()
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option):
                record = parameter.get_help_record(ctx)
                if record:
                    panel = getattr(parameter, "panel", "Options")
                    panels.setdefault(panel, []).append((record[0], record[1] + _default(parameter)))
        for title, rows in panels.items():
            console.print(_panel(title, rows))


class PanelGroup(click.Group):
    """The program: its commands in one panel."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Draw what the program is for and its commands."""
        from reports.console import results

        console = results()
        console.print()
        console.print(f" Usage: {ctx.command_path} COMMAND [OPTIONS]", style="bold")
        console.print()
        for paragraph in (self.help or "").split("\n\n"):
            console.print(f" {paragraph}")
        console.print()
        commands = [
            (name, command.get_short_help_str(200))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None
        ]
        console.print(_panel("Commands", commands))
        options = [record for option in self.get_params(ctx) if (record := option.get_help_record(ctx))]
        console.print(_panel("Options", options))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a reader needs them."""
        return list(self.commands)


def _default(parameter: click.Option) -> str:
    """The registry's base value of a flag that sets an assumption."""
    name = getattr(parameter, "assumption", "")
    if not name:
        return ""
    from estimator.assumptions import shipped

    return f" [{shipped()[name]:g}]"


def _panel(title: str, rows: list[tuple[str, str]]) -> Any:
    from rich.panel import Panel
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=False, ratio=2)
    grid.add_column(overflow="fold", ratio=3)
    for left, right in rows:
        grid.add_row(left, right)
    grid.expand = True
    return Panel(grid, title=title, title_align="left", border_style="dim")
