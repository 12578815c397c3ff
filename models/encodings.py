"""Which encoding a whole table is in, and whether all of it is."""

from pathlib import Path
from typing import Final

from charset_normalizer import from_bytes

from contracts.tables import SAMPLE_BYTES, encoding_of

_JUDGED_BYTES: Final = 2**18  # of lines that are not ASCII
# A line of another encoding is valid UTF-8 by chance only, so a tenth of such lines is no chance.
_UTF8_SHARE: Final = 0.1
_COMMON: Final = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859_2", "koi8_r", "mac_roman", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"),
)


def encoding_of_file(path: Path) -> str:
    """Name the encoding of most lines; raises `DataProblem` for what is no text."""
    with path.open("rb") as stream:
        sample = stream.read(SAMPLE_BYTES)
        first_guess = encoding_of(sample, is_whole=len(sample) < SAMPLE_BYTES)
        if first_guess not in {"utf-8", "cp1252"}:
            return first_guess  # its byte order mark says so
        stream.seek(0)
        good, bad, judged = 0, 0, bytearray()
        while block := stream.read(SAMPLE_BYTES):
            block += stream.readline(SAMPLE_BYTES)
            if block.isascii():  # not line by line: a table may have a hundred million
                continue
            for line in block.splitlines(keepends=True):
                if _is_utf8(line):
                    good += not line.isascii()
                else:
                    bad += 1
                    if len(judged) < _JUDGED_BYTES:
                        judged += line
    if not bad or good >= _UTF8_SHARE * (good + bad):
        return "utf-8"
    best = from_bytes(bytes(judged), cp_isolation=list(_COMMON)).best()
    return best.encoding if best else "cp1252"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        # A line longer than the buffer may be cut inside of a character.
        return error.end == len(line) and error.reason == "unexpected end of data"
    return True
