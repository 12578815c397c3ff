"""What comes out of the bucket is what was announced."""

import hashlib

import httpx
import pytest

from contracts.identity import Project
from contracts.manifest import Flag
from contracts.requests import AnnouncedFile, UploadRequest
from lambdas import uploads
from tasks import clients, storage
from tasks.settings import settings

RIGHT, FORGED = b"0" * 100, b"1" * 100


def test_other_content_of_the_same_size_is_set_aside_and_its_place_is_free_again(
    tasks_environment: pytest.MonkeyPatch,
) -> None:
    """S3 refuses it by the form's checksum, which the emulator does not look at."""
    project, s3 = Project("ann", "forged"), clients.s3()
    digest = hashlib.sha256(RIGHT).hexdigest()
    request = UploadRequest("u1", (AnnouncedFile("cat", "a.png", 100, digest, "image/png"),))

    def send(content: bytes) -> None:
        (post,) = uploads.announce(s3, settings().bucket, project, request)["posts"]
        httpx.post(post["url"], data=post["fields"], files={"file": content}).raise_for_status()

    send(FORGED)
    assert storage.fetch_examples(project, [digest]) == {digest: Flag.WRONG_CONTENT}
    assert storage.fetch_examples(project, [digest]) == {digest: Flag.MISSING}
    send(RIGHT)
    assert storage.fetch_examples(project, [digest]) == {}
    assert storage.local_path(project, digest).read_bytes() == RIGHT
