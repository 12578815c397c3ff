"""A data set's report as Markdown and HTML. Every name comes from an uploader and is escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from models import markup

if TYPE_CHECKING:
    from models.dataset_report import DatasetReport, Finding

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:/@])")
_BAR_PX: Final = 260


def markdown_page(report: "DatasetReport") -> str:
    """Return the report as Markdown tables."""
    parts = [f"# Data set: {report.usable:,} of {report.examples:,} examples are used"]
    for title, header, rows in _sections(report):
        parts.append(f"## {title}")
        parts.append(_markdown_table(header, rows))
    return "\n\n".join(parts) + "\n"


def html_page(report: "DatasetReport") -> str:
    """Return the report as one HTML document without scripts or outside resources."""
    title = f"Data set of {markup.text(report.project)}"
    tables = "".join(
        f"<h2>{markup.text(heading)}</h2>{markup.table(header, rows)}"
        for heading, header, rows in _sections(report)
    )
    body = (
        f"<p>{report.usable:,} of {report.examples:,} examples are used. "
        f"Version <code>{markup.text(report.version[:12])}</code>.</p>"
    )
    return markup.page(title, f"{body}{_bars(report)}{tables}")


def _sections(report: "DatasetReport") -> list[tuple[str, list[str], markup.Rows]]:
    """Title, header and rows of each table that has any rows."""
    sections: list[tuple[str, list[str], markup.Rows]] = [
        (
            "Classes",
            ["class", "train", "validation", "test", "set aside"],
            [(c.name, c.train, c.validation, c.test, c.set_aside) for c in report.classes],
        ),
        (
            "Lengths" if report.telling_words else "Sizes",
            ["measure", "smallest", "lower quarter", "median", "upper quarter", "largest"],
            [
                (d.name, d.minimum, d.lower_quarter, d.median, d.upper_quarter, d.maximum)
                for d in report.distributions
            ],
        ),
        (
            "Most telling words",
            ["class", "words"],
            [(name, ", ".join(words)) for name, words in report.telling_words],
        ),
        ("Set aside", ["reason", "how many", "examples"], _finding_rows(report.set_aside)),
        (
            "Used, but look at these",
            ["reason", "how many", "examples"],
            _finding_rows(report.unusual),
        ),
        (
            f"Near copies under different labels ({report.mixed_groups:,})",
            ["one of the labels is likely wrong"],
            [("; ".join(group),) for group in report.mixed_labels],
        ),
        (
            f"Near copies, kept in one split ({report.near_duplicate_groups:,} groups)",
            ["examples"],
            [("; ".join(group),) for group in report.near_duplicates],
        ),
    ]
    return [section for section in sections if section[2]]


def _finding_rows(findings: Iterable["Finding"]) -> list[tuple[str, int, str]]:
    return [
        (
            finding.reason,
            finding.count,
            "; ".join(
                f"{name}: {note}" if note else name
                for name, note in zip(finding.files, finding.notes, strict=True)
            ),
        )
        for finding in findings
    ]


def _markdown_table(header: Sequence[str], rows: markup.Rows) -> str:
    lines = [_markdown_row(header), "|" + " --- |" * len(header)]
    return "\n".join(lines + [_markdown_row(row) for row in rows])


def _markdown_row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(markdown_text(cell) for cell in cells) + " |"


def markdown_text(value: object) -> str:
    """A cell that renders as its own characters: no link, picture, tag or column begins in it."""
    if isinstance(value, int | float):
        return markup.number(value)
    return _MARKDOWN_SPECIAL.sub(r"\\\1", escape(markup.visible(value), quote=False))


def _bars(report: "DatasetReport") -> str:
    """Examples per class, test part darker, as an inline picture."""
    shown = report.classes[:50]
    largest = max((c.train + c.validation + c.test for c in shown), default=0) or 1
    bars = []
    for row, counts in enumerate(shown):
        learnt = _BAR_PX * (counts.train + counts.validation) / largest
        test = _BAR_PX * counts.test / largest
        y = row * 22
        bars.append(
            f'<rect x="0" y="{y}" width="{learnt:.1f}" height="16" fill="#5b8def"/>'
            f'<rect x="{learnt:.1f}" y="{y}" width="{test:.1f}" height="16" fill="#274b8f"/>'
            f'<text x="{_BAR_PX + 8}" y="{y + 13}" font-size="13" fill="currentColor">'
            f"{markup.plain(counts.name)}</text>"
        )
    return (
        f'<svg width="640" height="{len(shown) * 22}" role="img" '
        f'aria-label="examples per class">{"".join(bars)}</svg>'
        "<p><small>Light: learnt from. Dark: kept for the test.</small></p>"
    )
