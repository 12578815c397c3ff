"""Uploads that are, or call themselves, tables of labelled text."""

import csv
import gzip
import io
import random
import zipfile
from collections.abc import Sequence
from typing import Final

from tests.hostile import texts
from tests.hostile.drawn import Draw, Hostile, drawn, flipped
from tests.hostile.names import name

_ENCODINGS: Final = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp1252"),
    *("cp1251", "shift_jis", "gb18030", "koi8_r", "mac_roman", "cp500", "euc_kr"),
)
_WORDS: Final = ("food", "bread", "sport", "match", "weather", "rain", "привет", "日本", "café")
# Labels that look alike, look like nothing, or look like something else.
_LABELS: Final = (
    *("caf\u00e9", "cafe\u0301", "cat", "cat ", "Cat", "cat\u200b", "cat\u200d", "\u200dcat"),
    *("c\u202eat", "=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-1", "-2.5", "\t", "\u3164", "\0"),
    *("<img src=x onerror=alert(1)>", "../../etc", "x" * 65, "x" * 5_000, "\ud800", "😀", "٣", ""),
)


def rows(rng: random.Random, count: int = 0) -> list[list[str]]:
    """Sound rows of text and label."""
    return [
        [" ".join(rng.choices(_WORDS, k=rng.randint(2, 9))) + f" {n}", rng.choice(("a", "b"))]
        for n in range(count or rng.randint(20, 60))
    ]


def written(table: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\r\n") -> str:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=delimiter, lineterminator=end).writerows(table)
    return buffer.getvalue()


def _table(rng: random.Random, **options: str) -> bytes:
    head = [["text", "label"]] if rng.random() < 0.8 else []
    return written([*head, *rows(rng)], **options).encode()


def _sound(rng: random.Random) -> bytes:
    return _table(rng, delimiter=rng.choice(",;\t|"), end=rng.choice(["\r\n", "\n", "\r"]))


def _zeros(rng: random.Random) -> bytes:
    data = bytearray(_table(rng))
    late = rng.random() < 0.5
    for _ in range(rng.choice([1, 50])):
        data[rng.randrange(len(data))] = 0
    return bytes(_table(rng) * 60 + data if late else data)  # behind what is looked at first


def _quotes(rng: random.Random) -> bytes:
    text = _table(rng).decode()
    for _ in range(rng.choice([1, 1, 9])):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(['"', '""', '"""', '",', '\n"', "'"]) + text[at:]
    return (text * rng.choice([1, 1, 40])).encode()


def _long_field(rng: random.Random) -> bytes:
    size = rng.choice([131_072, 131_073, 999_000, 1_100_000])
    long = rng.choice(["x", "wide ", "é", '"", "'])[:1] * size
    table = [*rows(rng), [long, "a"], *rows(rng)]
    rng.shuffle(table)
    return written([["text", "label"], *table]).encode()


def _columns(rng: random.Random) -> bytes:
    count = rng.choice([1_000, 100_000])
    head = ",".join(["text", "label", *("c" * rng.randint(0, 3) for _ in range(5))])
    return (head + "," * count + "\n" + ("words here,a" + "," * count + "\n") * 3).encode()


def _ragged(rng: random.Random) -> bytes:
    table = [row[: rng.randint(0, 2)] + ["more"] * rng.choice([0, 0, 0, 5]) for row in rows(rng)]
    return written([["text", "label"], *table]).encode()


def _encodings(rng: random.Random) -> bytes:
    """Lines of different encodings, one after another."""
    parts = written([["text", "label"], *rows(rng)]).splitlines(keepends=True)
    chosen = rng.sample(_ENCODINGS, 2)
    return b"".join(line.encode(rng.choice(chosen), "replace") for line in parts)


def _encoding(rng: random.Random) -> bytes:
    data = written([["text", "label"], *rows(rng)]).encode(rng.choice(_ENCODINGS), "replace")
    return data[: len(data) - rng.choice([0, 0, 1, 3])]  # some end inside of a character


def _marks(rng: random.Random) -> bytes:
    marks = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"+/v8")
    return rng.choice(marks) * rng.choice([1, 2]) + rng.choice([_table(rng), b"", b"x"])


def _surrogates(rng: random.Random) -> bytes:
    """UTF-8 of halves of surrogate pairs, overlong forms and what lies beyond Unicode."""
    odd = rng.choice([b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80"])
    lines = _table(rng).split(b"\n")
    for _ in range(rng.choice([1, 5])):
        at = rng.randrange(len(lines))
        lines[at] = odd + lines[at]
    return b"\n".join(lines)


def _formulas(rng: random.Random) -> bytes:
    cells = ("=1+1", "@A1", "+cmd|' /C calc'!A0", '=HYPERLINK("http://x")', "\t=1")
    table = [[rng.choice([text, rng.choice(cells)]), label] for text, label in rows(rng)]
    table[rng.randrange(len(table))][1] = rng.choice(cells)
    return written([["text", "label"], *table]).encode()


def _only(rng: random.Random) -> bytes:
    piece = rng.choice(
        [b",", b";", b"\n", b"\r", b"\r\n", b",\n", b'"', b'""\n', b" ", b"\t", b"'"]
    )
    return piece * rng.choice([1, 100, 300_000])


def _labels(rng: random.Random) -> bytes:
    few = rng.sample(_LABELS, rng.choice([2, 3, 8]))
    table = [[text, rng.choice(few)] for text, _ in rows(rng)]
    return written([["text", "label"], *table]).encode("utf-8", "surrogatepass")


def _odd_texts(rng: random.Random) -> bytes:
    table = [[texts.text(rng)[:20_000], label] for _, label in rows(rng)]
    return written([["text", "label"], *table]).encode("utf-8", "surrogatepass")


def _headers(rng: random.Random) -> bytes:
    heads = [["text", "text"], ["label", "label"], ["", ""], ["LABEL", "TEXT"], ["²", "1"]]
    heads += [["split", "label"], [name(rng), name(rng)], ["text"], ["a" * 9_000, "label"]]
    return written([rng.choice(heads), *rows(rng)]).encode("utf-8", "replace")


def _splits(rng: random.Random) -> bytes:
    table = [[*row, rng.choice(["train", "test", "TEST", "", "dev", "="])] for row in rows(rng)]
    return written([["text", "label", "split"], *table]).encode()


def _other(rng: random.Random) -> bytes:
    """Workbooks, archives, JSON, web pages and the like, called .csv."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", bytes(10**6))
    others = [buffer.getvalue(), gzip.compress(_table(rng)), b"%PDF-1.7", b"PAR1" + bytes(9)]
    others += [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(90), b"<html><table><tr><td>text"]
    others += [b'[{"text": "a", "label": "b"}]', b'{"text": "a", "label": "b"}\n' * 20]
    return rng.choice([*others, b"\x7fELF" + rng.randbytes(90), rng.randbytes(900), b""])


def _many_labels(rng: random.Random) -> bytes:
    table = [[text, f"label {n}"] for n, (text, _) in enumerate(rows(rng, 1_500))]
    return written([["text", "label"], *table]).encode()


def _many_rows(rng: random.Random) -> bytes:
    """Millions of rows in what takes no room compressed."""
    return b"text,label\n" + rng.choice([b"x,a\n", b",\n", b"\n", b'""\n']) * 100_000


def _spoilt(rng: random.Random) -> bytes:
    return flipped(rng, _table(rng), rng.randint(1, 60))


def _cut(rng: random.Random) -> bytes:
    data = _table(rng)
    return data[: rng.randrange(len(data))]


KINDS: dict[str, Draw] = {
    "columns": _columns,
    "cut": _cut,
    "encoding": _encoding,
    "encodings": _encodings,
    "formulas": _formulas,
    "headers": _headers,
    "labels": _labels,
    "long-field": _long_field,
    "many-labels": _many_labels,
    "many-rows": _many_rows,
    "marks": _marks,
    "odd-texts": _odd_texts,
    "only": _only,
    "other": _other,
    "quotes": _quotes,
    "ragged": _ragged,
    "sound-table": _sound,
    "splits": _splits,
    "spoilt": _spoilt,
    "surrogates": _surrogates,
    "zeros": _zeros,
}


def hostile_tables(count: int, seed: int = 0) -> list[Hostile]:
    """`count` tables of every kind in turn."""
    return drawn(KINDS, count, seed)
