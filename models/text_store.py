"""The texts of a data set as one Parquet file, by content hash."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from contracts.errors import DataProblem


def write_texts(path: Path, texts: Mapping[str, str]) -> None:
    """Write the texts, sorted by hash."""
    import pyarrow as pa  # 0.2 s, and pictures need none of it
    import pyarrow.parquet as pq

    hashes = sorted(texts)
    table = pa.table({"sha256": hashes, "text": [texts[sha256] for sha256 in hashes]})
    pq.write_table(table, path, compression="zstd")


def read_texts(path: Path) -> dict[str, str]:
    """Undo `write_texts`. Raises `DataProblem` for a text that does not have its hash."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    texts = dict(zip(table["sha256"].to_pylist(), table["text"].to_pylist(), strict=True))
    for sha256, text in texts.items():
        if hashlib.sha256(text.encode("utf-8", "replace")).hexdigest() != sha256:
            raise DataProblem("the stored texts were altered", fix="upload the tables again")
    return texts
