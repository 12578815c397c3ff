"""What `exemplar delete` prints: what will go, what is going, what has gone."""

import time
from typing import Any, Self

from rich.console import Console
from rich.filesize import decimal as file_size

from deployments.printable import printable
from deployments.screens import say


def show_what_goes(console: Console, details: dict[str, Any]) -> None:
    """A project as its owner knows it."""
    say(console, f"This deletes {details['project']} with everything that belongs to it:", "bold")
    facts = {
        "classes": ", ".join(details["classes"]),
        "trainings": len(details["jobs"]) or "none",
        "models": len(details["versions"]) or "none",
        "endpoint": details["endpoint"] or "none",
    }
    for name, fact in facts.items():
        say(console, f"  {name:<10} {fact}")


class DeletionReporter:
    """A spinner on a terminal; elsewhere a line for each step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = console.status("closing the project")
        self._said = ""

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._spinner.stop()

    def on_update(self, receipt: dict[str, Any]) -> None:
        """The receipt changed."""
        message = printable(receipt["failure"].get("message") or receipt["message"])
        if self._console.is_terminal:
            total = sum(n for name, n in receipt["counts"].items() if name != "bytes")
            self._spinner.update(f"{receipt['progress']:4.0%}  {message}  ({total:,} gone)")
        elif message != self._said:
            say(self._console, f"{receipt['progress']:4.0%}  {message}")
        self._said = message


def show_receipt(console: Console, receipt: dict[str, Any]) -> None:
    """Everything that went, with its number, and what stays elsewhere."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(receipt["finished_at"]))
    say(console, f"{receipt['project']} is deleted", "bold")
    say(console, f"  receipt {receipt['receipt_id']} of {when}")
    for name, count in receipt["counts"].items():
        shown = file_size(count) if name == "bytes" else f"{count:,}"
        if count:
            say(console, f"  {shown:>10}  {'of data' if name == 'bytes' else _words(name)}")
    say(console, "what bears its name elsewhere:", "dim")
    for line in receipt["stays"]:
        say(console, f"  - {line}", "dim")


def _words(name: str) -> str:
    return name.replace("_", " ")
