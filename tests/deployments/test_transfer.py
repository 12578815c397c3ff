import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import DataProblem, Unavailable
from contracts.identity import Project
from contracts.limits import Limits
from deployments import transfer
from deployments.client import Exemplar
from deployments.folder import read_folder
from deployments.transfer import TransferProgress
from lambdas import environment, uploads
from tests.deployments.api_server import ROOT, TOKEN, USER, ApiServer
from tests.deployments.pictures import write_classes, write_picture

CLASSES = ["cat", "dog"]


def test_a_second_upload_sends_nothing(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 30)
    write_picture(folder / "dog" / "copy.png", seed=10_000)  # the same bytes as dog/0.png
    client.create(project, CLASSES)
    seen: list[TransferProgress] = []
    upload = client.upload(project, folder, seen.append)
    assert len(server.stored(project)) == 60
    assert (seen[-1].files_done, seen[-1].files_total, seen[-1].files_kept) == (60, 60, 0)
    assert seen[-1].bytes_done == seen[-1].bytes_total
    assert client.upload(project, folder, seen.append) == upload
    assert seen[-1].files_kept == 60


def test_many_batches_make_one_upload(
    client: Exemplar,
    server: ApiServer,
    project: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transfer, "_BATCH_FILES", 7)
    folder = read_folder(write_classes(tmp_path / "data", 20))
    client.create(project, CLASSES)
    upload = client.upload(project, folder)
    announced = uploads.announced_files(
        environment.s3(), server.bucket, Project(USER, project), upload, Limits()
    )
    assert sorted(file.name for file in announced) == [file.name for file in folder.files]
    assert len(server.stored(project)) == 40


_KILLED_HALF_WAY = """
import os, signal, sys
from deployments.client import Exemplar

def on_progress(progress):
    if progress.phase == "send" and progress.files_done >= 20:
        os.kill(os.getpid(), signal.SIGKILL)

with Exemplar() as client:
    client.upload(sys.argv[1], sys.argv[2], on_progress)
"""


def test_a_killed_upload_goes_on_with_the_rest(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 40)
    client.create(project, CLASSES)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_HALF_WAY, project, str(folder)],
        env=os.environ | {"EXEMPLAR_URL": server.url, "EXEMPLAR_TOKEN": TOKEN},
        cwd=ROOT,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    stored = len(server.stored(project))
    assert 20 <= stored < 80
    seen: list[TransferProgress] = []
    client.upload(project, folder, seen.append)
    assert stored <= seen[-1].files_kept < 80
    assert len(server.stored(project)) == 80


def test_an_expired_permission_is_asked_for_again(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path, monkeypatch: Any
) -> None:
    folder = write_classes(tmp_path / "data", 3)
    client.create(project, CLASSES)
    monkeypatch.setattr(uploads, "POST_SECONDS", -60)

    def next_one_is_valid(_: TransferProgress) -> None:
        monkeypatch.setattr(uploads, "POST_SECONDS", 3_600)

    client.upload(project, folder, next_one_is_valid)
    assert len(server.stored(project)) == 6


def test_storage_that_keeps_refusing_is_told_with_the_files(
    client: Exemplar, project: str, tmp_path: Path, monkeypatch: Any
) -> None:
    folder = write_classes(tmp_path / "data", 2)
    client.create(project, CLASSES)
    monkeypatch.setattr(uploads, "POST_SECONDS", -60)
    monkeypatch.setattr(transfer, "_FIRST_PAUSE_SECONDS", 0.01)
    with pytest.raises(Unavailable, match=r"4 files could not be stored: .* 403") as caught:
        client.upload(project, folder)
    assert len(caught.value.details) == 4
    assert "run the same command again" in caught.value.fix


def test_a_file_that_changes_under_way_is_not_sent(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path
) -> None:
    found = read_folder(write_classes(tmp_path / "data", 2))
    client.create(project, CLASSES)
    found.files[0].path.write_bytes(b"other")
    with pytest.raises(DataProblem, match="changed while uploading"):
        client.upload(project, found)
    assert not any(found.files[0].sha256 in key for key in server.stored(project))
