from io import BytesIO
from pathlib import Path

from PIL import Image

from models.contact_sheet import MAX_CLASSES, PER_CLASS, contact_sheet


def picture(folder: Path, colour: str) -> Path:
    path = folder / f"{colour}.png"
    Image.new("RGB", (300, 200), colour).save(path)
    return path


def test_rows_are_classes(tmp_path: Path) -> None:
    red, blue = picture(tmp_path, "red"), picture(tmp_path, "blue")
    sheet = Image.open(BytesIO(contact_sheet([[red, red], [blue]]))).convert("RGB")
    first, second, empty = (sheet.getpixel(at) for at in ((40, 40), (40, 116), (116, 116)))
    assert first[0] > 200 > first[2]
    assert second[2] > 200 > second[0]
    assert min(empty) > 200


def test_thousands_of_pictures_give_a_small_sheet(tmp_path: Path) -> None:
    red = picture(tmp_path, "red")
    data = contact_sheet([[red] * 1_000] * 50)
    width, height = Image.open(BytesIO(data)).size
    assert (width, height) == (PER_CLASS * 76 + 4, MAX_CLASSES * 76 + 4)
    assert len(data) < 100_000
