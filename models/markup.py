"""Pieces of self-contained pages. Every name in them comes from an uploader and is escaped."""

import re
from collections.abc import Sequence
from html import escape
from typing import Final

_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2430; background: #fff }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td, th { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid #dde3ea;
  vertical-align: top; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { color: #e6e9ee; background: #14181e }
  td, th { border-color: #333b46 } }
"""

Rows = Sequence[Sequence[object]]


def page(title: str, body: str, style: str = "") -> str:
    """One document without scripts or outside resources; `title` and `body` are markup already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}{style}</style></head><body><h1>{title}</h1>"
        f"{body}</body></html>"
    )


def table(header: Sequence[str], rows: Rows) -> str:
    """A table of escaped cells."""
    head = "".join(f"<th>{text(cell)}</th>" for cell in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def text(value: object) -> str:
    """Escaped text; the direction of foreign scripts cannot spill into what follows."""
    if isinstance(value, int | float):
        return number(value)
    return f"<bdi>{plain(value)}</bdi>"


def plain(value: object) -> str:
    """Escaped text for attributes and pictures, where no element may be."""
    return escape(visible(value))


def visible(value: object) -> str:
    """Text without what is not seen."""
    return _INVISIBLE.sub(" ", str(value))


def number(value: float) -> str:
    """With a comma between thousands, and two digits at most after the point."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"
