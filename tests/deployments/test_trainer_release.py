"""What training machines install is whole, reproducible, and installs by a script that parses."""

import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from deployments.code_bucket import CodeBucket
from deployments.packaging import ROOT
from deployments.trainer_release import SETUP, build_wheel, upload_release


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_what_a_trainer_runs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert {"flows/train.py", "tasks/training.py", "models/training.py"} <= names
    assert {"contracts/keys.py", "serving/predictor.py", "lambdas/state.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]


def test_building_leaves_the_source_tree_clean(wheel: Path) -> None:
    done = subprocess.run(
        ["git", "status", "--porcelain", "--ignored", "build", "exemplar.egg-info"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "build/" not in done.stdout


def test_a_release_is_stored_once_under_its_content(emulator: Any) -> None:
    s3 = emulator.client("s3")
    s3.create_bucket(Bucket="release-code")
    code = CodeBucket("release-code", s3)
    address = upload_release(code)
    before = s3.list_objects_v2(Bucket=code.name)["Contents"]
    assert upload_release(code) == address
    after = s3.list_objects_v2(Bucket=code.name)["Contents"]
    assert [entry["LastModified"] for entry in after] == [e["LastModified"] for e in before]
    stored = {entry["Key"].rpartition("/")[2] for entry in after}
    assert {"constraints.txt", "setup.sh", "SHA256SUMS"} < stored
    assert len(stored) == 4
    release = address.rpartition("/")[2]
    sums = s3.get_object(Bucket=code.name, Key=f"trainer/{release}/SHA256SUMS")["Body"].read()
    assert hashlib.sha256(sums).hexdigest() == release


def test_setup_script_parses_and_asks_for_its_argument() -> None:
    subprocess.run(["bash", "-n", str(SETUP)], check=True)
    done = subprocess.run(["bash", str(SETUP)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "name the release" in done.stderr


def test_packer_runs_the_same_script() -> None:
    text = SETUP.with_name("image.pkr.hcl").read_text()
    assert "${path.root}/setup.sh" in text
    assert text.count("{") == text.count("}")
    assert "encrypt_boot         = true" in text
