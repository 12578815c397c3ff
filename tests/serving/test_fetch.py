import pytest

from contracts.errors import InvalidRequest
from serving.fetch import fetch

INSIDE = [
    "https://127.0.0.1/",
    "https://localhost/cat.jpg",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://172.16.3.4/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fe80::1]/",
    "https://[fd00:ec2::254]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "https://[ff02::1]/",
]
NO_ADDRESS = [
    "",
    "cat.jpg",
    "http://example.com/cat.jpg",
    "file:///etc/passwd",
    "ftp://example.com/",
    "https://",
    "https:///cat.jpg",
    "https://user:secret@example.com/",
    "https://example.com:8443/",
    "https://example.com:99999/",
    "https://exa mple.com/ x",
    "https://example.com/a\r\nHost: inside",
    "https://[::1",
    f"https://{'a' * 70}.example/",
    "https://a..example/",
    None,
    7,
    ["https://example.com"],
]


@pytest.mark.parametrize("url", [*INSIDE, *NO_ADDRESS], ids=repr)
def test_nothing_but_a_public_https_address_is_fetched(url: object) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        fetch(url, 1_000)
    assert refusal.value.fix
