"""The page as files: whole in itself, and without the ways by which names become markup."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "serving" / "web"
OWN = sorted(path for path in WEB.rglob("*.js") if "vendor" not in path.parts)
IMPORTS = re.compile(
    r"""^(?:import|export)\b[^;"'()=]*["']([^"']+)["']|new URL\(["'](\./[^"']+)["']""", re.MULTILINE
)
MARKUP = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(")


def imported(path: Path) -> list[str]:
    found = [first or second for first, second in IMPORTS.findall(path.read_text())]
    return [name for name in found if name != "./"]


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_module_imports_what_is_there_and_nothing_from_elsewhere(path: Path) -> None:
    for name in imported(path):
        assert name.startswith("."), name
        assert (path.parent / name).resolve().is_file(), name


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_names_never_become_markup(path: Path) -> None:
    text = path.read_text()
    assert [way for way in MARKUP if way in text] == []
    assert "dangerouslySetInnerHTML" not in text


def test_every_module_is_used() -> None:
    used = {(path.parent / name).resolve() for path in OWN for name in imported(path)}
    assert [path.name for path in OWN if path not in used] == ["app.js"]


def test_the_document_has_no_script_or_style_inside_and_nothing_from_elsewhere() -> None:
    text = (WEB / "index.html").read_text()
    places = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert all(place.startswith("./page/") for place in places)
    assert all((WEB / place.removeprefix("./page/")).is_file() for place in places)
    assert re.findall(r"<script(?![^>]*src=)", text) == []
    assert "<style" not in text
    assert re.findall(r"\son[a-z]+=", text) == []


def test_each_library_comes_with_its_licence() -> None:
    for path in (WEB / "vendor").glob("*.js"):
        licence = WEB / "vendor" / f"LICENSE-{path.name.split('-')[0]}.txt"
        assert licence.is_file(), path.name
