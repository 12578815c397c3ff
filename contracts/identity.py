"""Who owns what: the tenant, the project, and every name that is derived from them."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from contracts.errors import InvalidName, quoted

NAME_PATTERN: Final = r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?"
IDENTIFIER_PATTERN: Final = r"[a-z0-9][a-z0-9-]{0,63}"
SHA256_PATTERN: Final = r"[0-9a-f]{64}"

_PART = re.compile(NAME_PATTERN)
_IDENTIFIER = re.compile(IDENTIFIER_PATTERN)
_SHA256 = re.compile(SHA256_PATTERN)

# Letters and symbols by their category, but drawn as nothing.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"

_JOINERS = "\u200c\u200d"
# Control, format (bidi overrides among them), surrogates, line separators.
_UNSHOWN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NEVER_JOINED = ("LATIN ", "GREEK ", "CYRILLIC ")

FUNCTION_NAME_MAX = 64  # AWS Lambda's limit
ROLE_NAME_MAX = 64  # IAM's
CLASS_NAME_MAX = 64


@dataclass(frozen=True, order=True, slots=True)
class Project:
    """One user's project; both parts are validated here and nowhere else.

    Neither part may hold `_` or `.`, so joining them with either cannot collide.
    """

    user: str
    name: str

    def __post_init__(self) -> None:
        _check_part("user", self.user)
        _check_part("project", self.name)

    @property
    def slug(self) -> str:
        """`user_name`, unique per project."""
        return f"{self.user}_{self.name}"

    @property
    def registry_name(self) -> str:
        """Name of the registered model in MLflow, which forbids `/` and `:`."""
        return f"{self.user}.{self.name}"

    def function_name(self, stack: str = "exemplar") -> str:
        """Name of the project's inference function, at most 64 characters.

        A name that would be longer is cut and closed with a digest. The digest starts with `H`,
        which no project may hold, so a cut name never equals a whole one.
        """
        return _cut(f"{stack}-infer_{self.slug}", FUNCTION_NAME_MAX)

    def image_function_name(self, stack: str = "exemplar") -> str:
        """Name of the function that holds a model too large for a zip, cut as `function_name` is.

        A function's package type cannot change, so the function with the endpoint forwards to it.
        """
        return _cut(f"{stack}-image_{self.slug}", FUNCTION_NAME_MAX)

    def trainer_role_name(self, stack: str = "exemplar") -> str:
        """Name of the role and instance profile of the project's training machines.

        At most 64 characters, cut as `function_name` is.
        """
        return _cut(f"{stack}-train_{self.slug}", ROLE_NAME_MAX)

    def inference_role_name(self, stack: str = "exemplar") -> str:
        """Name of the role of the project's inference functions, cut as `function_name` is."""
        return _cut(f"{stack}-infer_{self.slug}", ROLE_NAME_MAX)

    def forward_role_name(self, stack: str = "exemplar") -> str:
        """Name of the role of a function that forwards to an image, cut as `function_name` is."""
        return _cut(f"{stack}-forward_{self.slug}", ROLE_NAME_MAX)


def _cut(whole: str, longest: int) -> str:
    if len(whole) <= longest:
        return whole
    tail = "_H" + hashlib.sha256(whole.encode()).hexdigest()[:16]
    return whole[: longest - len(tail)] + tail


def _check_part(what: str, value: str) -> None:
    if not isinstance(value, str) or not _PART.fullmatch(value):
        raise InvalidName(
            f"{what} name {quoted(value)} may hold only a-z, 0-9 and '-', at most 32 characters, "
            "and must begin and end with a letter or digit",
            fix="use a name such as 'my-cat'",
        )


def identifier(value: str, what: str = "id") -> str:
    """Return `value` if it is a plain id (`[a-z0-9-]`, at most 64), else raise `InvalidName`."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise InvalidName(
            f"{what} {quoted(value)} may hold only a-z, 0-9 and '-', at most 64 characters",
            fix="use an id such as '3f2a9c01'",
        )
    return value


def sha256_hex(value: str) -> str:
    """Return `value` if it is a SHA-256 in lower-case hex, else raise `InvalidName`."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise InvalidName(
            f"{quoted(value)} is no SHA-256", fix="give 64 lower-case hexadecimal digits"
        )
    return value


def shown_name(value: str) -> str:
    """A file's name with what cannot be shown or encoded replaced: it is data and never a path."""
    return "".join(
        "\ufffd" if unicodedata.category(c) in _UNSHOWN and c not in _JOINERS else c for c in value
    )


def class_name(value: str) -> str:
    """Return a class name in its one stored form: NFC, trimmed, 1 to 64 printable characters.

    Raises `InvalidName`. A class name is shown to people and never becomes part of a key or path.
    """
    if not isinstance(value, str):
        raise InvalidName(f"class name {quoted(value)} is no text", fix="give a name such as 'cat'")
    name = unicodedata.normalize("NFC", value).strip()
    if not 1 <= len(name) <= CLASS_NAME_MAX:
        raise InvalidName(
            f"class name {quoted(value)} has {len(name)} characters, it may have 1 to 64",
            fix="shorten the name",
        )
    # Zero-width joiners are format characters that emoji and several scripts need.
    bad = [
        c
        for before, c in zip(" " + name, name, strict=False)
        if unicodedata.category(c) in _UNSHOWN and not (c in _JOINERS and _joins(before))
    ]
    if bad:
        raise InvalidName(
            f"class name {quoted(value)} holds the invisible character U+{ord(bad[0]):04X}",
            fix="remove control characters from the name",
        )
    if not any(unicodedata.category(c)[0] in "LNPS" and c not in _BLANK for c in name):
        raise InvalidName(
            f"class name {quoted(value)} shows nothing on a screen", fix="give a name such as 'cat'"
        )
    return name


def _joins(before: str) -> bool:
    """Whether a joiner means anything behind a character; else two names would look the same."""
    is_fit = unicodedata.category(before)[0] in "LMS"
    return is_fit and not unicodedata.name(before, "").startswith(_NEVER_JOINED)
