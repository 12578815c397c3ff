"""What the call on usage answers, as a JSON Schema."""

from contracts import schema
from contracts.request_schemas import name
from contracts.schema import Schema
from lambdas.usage_report import COUNTS, QUANTILES


def usage() -> Schema:
    """Days without any request may be missing; dollars are list prices."""
    fields = {
        "project": name(),
        "days": schema.listed(_day(), "The oldest first; a day is one of UTC."),
        "total": _figures("Usage"),
        "months": schema.listed(_month(), "The oldest first, each as a whole."),
        "prices_as_of": schema.text(),
        "read_to": schema.maybe(schema.number("What was logged before is counted.")),
        "drift": schema.maybe(_drift()),
    }
    return schema.record("UsageReport", fields)


def _day() -> Schema:
    day = schema.record("", {"day": schema.text("Such as 2026-11-27.")})
    return schema.joined("UsageDay", day, _figures("Usage"))


def _figures(title: str) -> Schema:
    count = {"type": "integer", "minimum": 0}
    answers = {"labels": schema.by_name(count), "other": count, "none": count}
    fields = dict.fromkeys(COUNTS, count)
    fields |= dict.fromkeys(QUANTILES, schema.maybe(schema.number()))
    fields |= {"ms": schema.number("Of all requests together."), "dollars": schema.number()}
    return schema.record(
        title, fields | {"versions": schema.by_name(schema.record("Answers", answers))}
    )


def _month() -> Schema:
    dollars = ("endpoint_dollars", "training_dollars", "dollars")
    month = {"month": schema.text("Such as 2026-11.")}
    return schema.record("UsageMonth", month | dict.fromkeys(dollars, schema.number()))


def _drift() -> Schema:
    fields = {
        "model_version": schema.text(),
        "is_drifting": schema.truth(),
        "since": schema.maybe(schema.number()),
        "score": schema.number("0 as on the test examples, 1 as unlike as can be."),
        "p_value": schema.number("Of such a difference by chance."),
        "mix": schema.number("How unlike the classes' shares are, 0..1; by itself no drift."),
        "reason": schema.text(),
        "examples": {"type": "integer", "minimum": 0},
        "judged_at": schema.number(),
    }
    return schema.record("Drift", fields)
