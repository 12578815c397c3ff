import subprocess
import sys

WORKS = """
from models.torchlibs import lightning, torch, torchvision
import torchvision as again
assert again is torchvision
assert torchvision.models.mobilenet_v2().features
"""


def test_imports_in_a_new_process_without_a_warning() -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", WORKS], check=True)
