"""A data set's report as Markdown and HTML. Every name comes from an uploader and is escaped."""

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from models.dataset_report import DatasetReport, Finding

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+\-.!|~:/@])")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_BAR_PX: Final = 260

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2430; background: #fff }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td, th { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid #dde3ea;
  vertical-align: top; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #e6e9ee; background: #14181e }
  td, th { border-color: #333b46 } }
"""

Rows = Sequence[Sequence[object]]


def markdown_page(report: "DatasetReport") -> str:
    """Return the report as Markdown tables."""
    parts = [f"# Data set: {report.usable:,} of {report.examples:,} examples are used"]
    for title, header, rows in _sections(report):
        parts.append(f"## {title}")
        parts.append(_markdown_table(header, rows))
    return "\n\n".join(parts) + "\n"


def html_page(report: "DatasetReport") -> str:
    """Return the report as one HTML document without scripts or outside resources."""
    title = f"Data set of {_text(report.project)}"
    tables = "".join(
        f"<h2>{_text(heading)}</h2>{_html_table(header, rows)}"
        for heading, header, rows in _sections(report)
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{report.usable:,} of {report.examples:,} examples are used. "
        f"Version <code>{_text(report.version[:12])}</code>.</p>"
        f"{_bars(report)}{tables}</body></html>"
    )


def _sections(report: "DatasetReport") -> list[tuple[str, list[str], Rows]]:
    """Title, header and rows of each table that has any rows."""
    sections: list[tuple[str, list[str], Rows]] = [
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


def _markdown_table(header: Sequence[str], rows: Rows) -> str:
    lines = [_markdown_row(header), "|" + " --- |" * len(header)]
    return "\n".join(lines + [_markdown_row(row) for row in rows])


def _markdown_row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(_markdown_text(cell) for cell in cells) + " |"


def _markdown_text(value: object) -> str:
    """A cell that renders as its own characters: no link, picture, tag or column begins in it."""
    if isinstance(value, int | float):
        return _number(value)
    plain = _INVISIBLE.sub(" ", str(value))
    return _MARKDOWN_SPECIAL.sub(r"\\\1", escape(plain, quote=False))


def _html_table(header: Sequence[str], rows: Rows) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _text(value: object) -> str:
    """Escaped text; the direction of foreign scripts cannot spill into what follows."""
    if isinstance(value, int | float):
        return _number(value)
    return f"<bdi>{escape(_INVISIBLE.sub(' ', str(value)))}</bdi>"


def _number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


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
            f"{escape(_INVISIBLE.sub(' ', counts.name))}</text>"
        )
    return (
        f'<svg width="640" height="{len(shown) * 22}" role="img" '
        f'aria-label="examples per class">{"".join(bars)}</svg>'
        "<p><small>Light: learnt from. Dark: kept for the test.</small></p>"
    )
