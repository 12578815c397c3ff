"""What `exemplar compare` prints for people."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.limits import MIB
from deployments.printable import printable
from deployments.screens import say
from models.comparison import Comparison, Difference, Figures

_CLASSES_SHOWN = 10


def show_comparison(console: Console, comparison: Comparison) -> None:
    """The versions side by side, then each of the others against the first."""
    _show_figures(console, comparison.runs)
    for difference in comparison.differences:
        console.print()
        _show_difference(console, difference)


def _show_figures(console: Console, runs: Sequence[Figures]) -> None:
    lines = {
        "": [f"{run.model_version}{' (live)' if run.is_live else ''}" for run in runs],
        "right": [f"{run.accuracy:.1%} ({run.correct:,} of {run.examples:,})" for run in runs],
        "95 % interval": [f"{low:.1%} to {high:.1%}" for low, high in (r.interval for r in runs)],
        "calibration error": [f"{run.ece:.1%}" for run in runs],
        "false alarms": [f"{run.false_alarm_rate:.1%}" for run in runs],
        "latency": [f"{run.latency_ms:.1f} ms" for run in runs],
        "size": [f"{run.bundle_size_bytes / MIB:.1f} MiB" for run in runs],
        "backbone": [run.backbone for run in runs],
        "training": [_duration(run.training_seconds) for run in runs],
        "scored on": [f"data set {run.dataset_version[:12]}" for run in runs],
    }
    _show_rows(console, ((name, *values) for name, values in lines.items()))


def _show_difference(console: Console, difference: Difference) -> None:
    say(console, f"{difference.model_version} against {difference.baseline}", "bold")
    if not difference.is_same_split:
        say(
            console,
            "  scored on different test splits: the accuracies above are not comparable; "
            f"{difference.shared:,} test examples are in both",
            "yellow",
        )
    say(console, f"  {difference.sentence}")
    changes = difference.classes[:_CLASSES_SHOWN]
    if changes:
        head = ("class", "found before", "after", "difference", "test examples")
        rows = [
            (
                c.name,
                f"{c.before:.1%}",
                f"{c.after:.1%}",
                f"{100 * c.difference:+.1f} pt",
                c.examples,
            )
            for c in changes
        ]
        _show_rows(console, (head, *rows))
        if len(difference.classes) > len(changes):
            say(console, f"  and {len(difference.classes) - len(changes):,} classes more", "dim")
    if difference.recipe:
        values = [(n, _value(old), _value(new)) for n, (old, new) in difference.recipe.items()]
        _show_rows(console, (("recipe", "before", "after"), *values))
    won = [(one.name, one.right, one.before) for one in difference.won]
    _show_examples(console, ("only right now", "is", "was taken for"), won, difference.wins)
    lost = [(one.name, one.right, one.after) for one in difference.lost]
    _show_examples(console, ("only right before", "is", "is taken for"), lost, difference.losses)


def _show_examples(
    console: Console,
    head: tuple[str, str, str],
    examples: Sequence[tuple[str, str, str]],
    count: int,
) -> None:
    if not examples:
        return
    shown = f" ({len(examples)} of {count:,})" if count > len(examples) else ""
    _show_rows(console, ((f"{head[0]}{shown}", *head[1:]), *examples))


def _show_rows(console: Console, rows: Iterable[tuple[object, ...]]) -> None:
    first, *others = rows
    console.print()
    table = Table(box=None, header_style="bold", pad_edge=True)
    for cell in first:
        table.add_column(Text(printable(cell)), overflow="fold")
    for row in others:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{rest} s"
