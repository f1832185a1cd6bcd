"""Rows as tables on a terminal."""

from programs import Program
from rich import box
from rich.console import Console
from rich.table import Table

LEFT = ("library", "scenario", "what", "beside")
"""Columns of words, not of figures."""


def table(title: str, rows: list[dict[str, str]]) -> Table:
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in rows[0]:
        shown.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for row in rows:
        style = None
        if row.get("library", "").startswith("wsfast"):
            style = "bold"
        elif row.get("") == "not met":
            style = "red"
        shown.add_row(*row.values(), style=style)
    return shown


def notes(console: Console, programs: list[Program]) -> None:
    """What is not equal, although all is done to make it so."""
    for program in programs:
        if program.cannot:
            console.print(f"[bold]{program.name}[/bold]: {program.cannot}.")
