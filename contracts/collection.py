"""The examples that the next training learns from: what they are, and how a person changes them.

A change is applied to a list of files and to the classes' names; the contents themselves stay.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from contracts.errors import Conflict, InvalidRequest, LimitExceeded, quoted
from contracts.identity import class_name, sha256_hex
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile, fields_of, switch

PAGE_MAX: Final = 200
PLACES_MAX: Final = 1_000
LINKS_MAX: Final = 200

Place = tuple[str, str]  # a content's SHA-256 and the class in which it lies
# A content's SHA-256 and the label that was given to it; None takes the label back.
Relabelling = Callable[[str, str], str | None]


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How much lies in one class; a content counts once, whatever names it has."""

    name: str
    examples: int = 0  # of text: tables
    size_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the API's answers."""
        return {"name": self.name, "examples": self.examples, "size_bytes": self.size_bytes}


@dataclass(frozen=True, slots=True)
class Contents:
    """A project's files and classes at one moment."""

    kind: Kind
    classes: tuple[str, ...]
    files: list[AnnouncedFile] = field(default_factory=list)
    has_open_classes: bool = False  # of text: whatever the tables name

    @property
    def known(self) -> tuple[str, ...]:
        """The classes in their order, then others that files name."""
        named = {file.class_name for file in self.files} - {"", *self.classes}
        return *self.classes, *sorted(named)

    def shown(self) -> list[AnnouncedFile]:
        """By name, each content once in a class."""
        places: dict[Place, AnnouncedFile] = {}
        for file in sorted(self.files, key=lambda file: (file.name, file.sha256, file.class_name)):
            places.setdefault(_place(file), file)
        return list(places.values())

    def counts(self) -> list[ClassCount]:
        """Of every class, empty ones too."""
        found = {name: ClassCount(name) for name in self.known}
        for file in self.shown():
            if count := found.get(file.class_name):
                more = count.size_bytes + file.size_bytes
                found[file.class_name] = replace(
                    count, examples=count.examples + 1, size_bytes=more
                )
        return list(found.values())

    def with_files(self, files: Iterable[AnnouncedFile]) -> "Contents":
        """The same with other files, each once and in a stable order."""
        distinct = {(file.sha256, file.class_name, file.name): file for file in files}
        return replace(self, files=[distinct[key] for key in sorted(distinct)])


class Change(Protocol):
    """One change of a project's examples. Applying it again changes nothing more."""

    def apply(self, contents: Contents, limits: Limits, /) -> Contents:
        """What becomes of them. Raises `ExemplarError` where it may not be."""

    def relabelling(self, after: Contents, /) -> Relabelling:
        """What becomes of labels that were given as feedback."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Takes contents out of classes."""

    places: frozenset[Place]

    def apply(self, contents: Contents, _limits: Limits, /) -> Contents:
        """What is not there is no error."""
        return contents.with_files(
            file for file in contents.files if _place(file) not in self.places
        )

    def relabelling(self, after: Contents, /) -> Relabelling:
        """A label left behind would bring back in the next training what was taken out."""
        gone = {sha256 for sha256, _ in self.places} - {file.sha256 for file in after.files}
        return lambda sha256, label: None if sha256 in gone else label


@dataclass(frozen=True, slots=True)
class Move:
    """Puts contents from one class into another."""

    to: Mapping[Place, str]

    def apply(self, contents: Contents, _limits: Limits, /) -> Contents:
        """What is not there is no error. Raises `InvalidRequest` for an unknown class."""
        _require_known(contents, *self.to.values())
        return contents.with_files(
            replace(file, class_name=self.to.get(_place(file), file.class_name))
            for file in contents.files
        )

    def relabelling(self, after: Contents, /) -> Relabelling:
        """Else the label given before would win over the class chosen now."""
        there = {_place(file) for file in after.files}
        chosen = {sha256: to for (sha256, _), to in self.to.items() if (sha256, to) in there}
        return lambda sha256, label: chosen.get(sha256, label)


@dataclass(frozen=True, slots=True)
class Rename:
    """Gives a class another name, or puts all of it into a class that is there."""

    name: str
    to: str
    merge: bool = False

    def apply(self, contents: Contents, limits: Limits, /) -> Contents:
        """Raises `InvalidRequest` for an unknown class, `Conflict` for one that would be merged."""
        _require_named_by_files(contents, self.name)
        if self.to not in contents.known:  # else it may have been renamed already
            _require_known(contents, self.name)
        if not self.merge and self._would_merge(contents):
            raise Conflict(
                f"there is a class {self.to!r} already",
                fix='choose another name, or send "merge": true to put both together',
            )
        renamed = contents.with_files(
            replace(file, class_name=self.to) if file.class_name == self.name else file
            for file in contents.files
        )
        after = replace(renamed, classes=self._classes(contents.classes))
        _check_remaining(contents, after, limits)
        return after

    def relabelling(self, _after: Contents, /) -> Relabelling:
        """With the class."""
        return lambda _, label: self.to if label == self.name else label

    def _classes(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        if self.to in classes and self.to != self.name:
            return tuple(name for name in classes if name != self.name)
        return tuple(self.to if name == self.name else name for name in classes)

    def _would_merge(self, contents: Contents) -> bool:
        """Not where a renaming was interrupted: then files lie in both, or in the new one alone."""
        if self.name == self.to:
            return False
        before = {_same(file) for file in contents.files if file.class_name == self.name}
        if self.to in contents.classes:
            return self.name in contents.classes or bool(before)
        others = {_same(file) for file in contents.files if file.class_name == self.to}
        return bool(before) and bool(others - before)


@dataclass(frozen=True, slots=True)
class DropClass:
    """Takes a class away with all that lies in it."""

    name: str

    def apply(self, contents: Contents, limits: Limits, /) -> Contents:
        """An unknown class is no error. Raises `Conflict` where too few would remain."""
        _require_named_by_files(contents, self.name)
        left = contents.with_files(file for file in contents.files if file.class_name != self.name)
        classes = tuple(name for name in contents.classes if name != self.name)
        after = replace(left, classes=classes)
        _check_remaining(contents, after, limits)
        return after

    def relabelling(self, after: Contents, /) -> Relabelling:
        """Labels of a class that is gone are left out anyway, unless labels make the classes."""
        is_open = after.has_open_classes
        return lambda _, label: None if label == self.name and is_open else label


@dataclass(frozen=True, slots=True)
class AddClass:
    """Adds a class with nothing in it."""

    name: str

    def apply(self, contents: Contents, limits: Limits, /) -> Contents:
        """Raises `LimitExceeded`, and `Conflict` where the tables' labels make the classes."""
        if self.name in contents.classes:
            return contents
        if contents.has_open_classes:
            raise Conflict(
                "the classes of this project are those that its tables name",
                fix="add a table that names the class, or give the project classes of its own",
            )
        if len(contents.classes) >= limits.max_classes:
            raise LimitExceeded(
                f"{len(contents.classes):,} classes are there, the limit is {limits.max_classes:,}",
                fix="drop a class first",
            )
        return replace(contents, classes=(*contents.classes, self.name))

    def relabelling(self, _after: Contents, /) -> Relabelling:
        """None."""
        return lambda _, label: label


@dataclass(frozen=True, slots=True)
class ForgetMissing:
    """Takes out what was announced but is not stored."""

    def removal(self, contents: Contents, stored: set[str]) -> Remove:
        """The same, knowing what is stored."""
        return Remove(frozenset(_place(f) for f in contents.files if f.sha256 not in stored))


def parse_change(body: Any) -> Change | ForgetMissing:
    """The body of `PATCH …/examples`: one kind of change. Raises `InvalidRequest`."""
    fields = fields_of(body, required=(), optional=_KINDS)
    if len(fields) != 1:
        raise InvalidRequest(
            f"{len(fields)} changes in one call, it must be one",
            fix=f"send one of {', '.join(_KINDS)}",
        )
    ((kind, value),) = fields.items()
    return _KINDS[kind](value)


def parse_links(body: Any) -> tuple[str, ...]:
    """The body of `POST …/examples/links`. Raises `InvalidRequest` and `LimitExceeded`."""
    value = fields_of(body, required=("sha256",), optional=())["sha256"]
    return tuple(sha256_hex(one) for one in _entries(value, "sha256", LINKS_MAX))


def _remove(value: Any) -> Remove:
    entries = (
        fields_of(entry, required=("sha256", "class"), optional=())
        for entry in _entries(value, "remove", PLACES_MAX)
    )
    return Remove(
        frozenset(
            (
                sha256_hex(entry["sha256"]),
                "" if entry["class"] == "" else class_name(entry["class"]),
            )
            for entry in entries
        )
    )


def _move(value: Any) -> Move:
    to: dict[Place, str] = {}
    for entry in _entries(value, "move", PLACES_MAX):
        found = fields_of(entry, required=("sha256", "class", "to"), optional=())
        place = sha256_hex(found["sha256"]), class_name(found["class"])
        to[place] = class_name(found["to"])
    return Move(to)


def _rename(value: Any) -> Rename:
    fields = fields_of(value, required=("class", "to"), optional=("merge",))
    return Rename(
        class_name(fields["class"]),
        class_name(fields["to"]),
        switch(fields.get("merge", False), "merge"),
    )


def _forget_missing(value: Any) -> ForgetMissing:
    if value is not True:
        raise InvalidRequest(
            f"forget_missing is {quoted(value, 40)}", fix='send {"forget_missing": true}'
        )
    return ForgetMissing()


_KINDS: Final[dict[str, Callable[[Any], Change | ForgetMissing]]] = {
    "remove": _remove,
    "move": _move,
    "rename": _rename,
    "drop_class": lambda value: DropClass(class_name(value)),
    "add_class": lambda value: AddClass(class_name(value)),
    "forget_missing": _forget_missing,
}


def _entries(value: Any, what: str, most: int) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise InvalidRequest(f"{what} is no list with entries", fix="name at least one")
    if len(value) > most:
        raise LimitExceeded(
            f"{len(value):,} entries in {what}, the limit is {most:,}", fix="send several calls"
        )
    return value


def _place(file: AnnouncedFile) -> Place:
    return file.sha256, file.class_name


def _same(file: AnnouncedFile) -> tuple[str, str]:
    return file.sha256, file.name


def _require_known(contents: Contents, *names: str) -> None:
    known = contents.known
    if unknown := [name for name in names if name not in known]:
        raise InvalidRequest(
            f"the project has no class {unknown[0]!r}",
            fix=f"use one of {list(known)[:20]}, or add the class first",
        )


def _require_named_by_files(contents: Contents, name: str) -> None:
    """A table that names its rows' classes itself would go on naming this one."""
    tables = [file.name for file in contents.files if not file.class_name]
    if tables:
        raise Conflict(
            f"{tables[0]!r} names the class of each row itself, so {name!r} stays in it",
            fix="change the labels in the table and upload it instead",
        )


def _check_remaining(before: Contents, after: Contents, limits: Limits) -> None:
    remaining = len(after.known)
    if remaining < min(limits.min_classes, len(before.known)):
        raise Conflict(
            f"{remaining} class would remain, at least {limits.min_classes} are needed",
            fix="add another class first",
        )
