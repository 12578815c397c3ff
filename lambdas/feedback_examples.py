"""Finding the example that a label is of: sent along, stored already, or in a kept request."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from contracts.errors import InvalidRequest, NotFound
from contracts.feedback import (
    Example,
    FeedbackRequest,
    decoded_picture,
    picture,
    text_example,
)
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.picture_type import SNIFF_BYTES, picture_type, reason_against
from contracts.requests import IMAGE_TYPES, AnnouncedFile
from lambdas.feedback import Feedback
from lambdas.uploads import Take, presigned_post

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_DAYS: Final = 31  # in which a request is looked for when nobody says its day


@dataclass(frozen=True, slots=True)
class FeedbackExamples:
    """One project's examples as feedback names them."""

    s3: "S3Client"
    bucket: str
    project: Project
    kind: Kind
    limits: Limits
    take: Take  # hears how many bytes are about to be stored, and raises where they are too many

    def find(self, request: FeedbackRequest) -> Feedback | dict[str, Any]:
        """The label with its example, stored; or the presigned POST that a missing picture needs.

        Raises `NotFound` and `InvalidRequest`.
        """
        if request.example:
            return self._kept(request, request.example)
        if request.request_id:
            return self._from_request(request)
        return self._stored(request) or self._post(request)

    def _kept(self, request: FeedbackRequest, example: Example) -> Feedback:
        if self.kind is Kind.IMAGE and not self._size(example.sha256):
            self.take(example.sha256, len(example.data))
            self.s3.put_object(
                Bucket=self.bucket,
                Key=ProjectKeys(self.project).object(example.sha256),
                Body=example.data,
                ContentType=example.content_type,
            )
        return Feedback(
            sha256=example.sha256,
            label=request.label,
            size_bytes=len(example.data),
            content_type=example.content_type,
            text=example.text,
            answered=request.answered,
            model_version=request.model_version,
            request_id=request.request_id,
        )

    def _from_request(self, request: FeedbackRequest) -> Feedback:
        kept = self._request(request)
        asked = kept.get("example")
        if not isinstance(asked, dict):
            raise NotFound("the request was kept without its example", fix="send the example")
        if self.kind is Kind.TEXT:
            example = text_example(asked.get("text"), self.limits)
        else:
            example = picture(decoded_picture(asked.get("image_base64")), self.limits)
        said = replace(
            request,
            answered=request.answered or kept.get("label"),
            model_version=request.model_version or str(kept.get("model_version") or ""),
        )
        return self._kept(said, example)

    def _request(self, request: FeedbackRequest) -> dict[str, Any]:
        """The kept request; without its day, of the last month, by its key on every day."""
        today = datetime.now(UTC).date()
        recent = [(today - timedelta(days=back)).isoformat() for back in range(_DAYS)]
        with ThreadPoolExecutor(8) as pool:
            days = [request.day] if request.day else recent
            keys = [ProjectKeys(self.project).request(day, request.request_id) for day in days]
            found = next(filter(None, pool.map(self._read, keys)), None)
        if found is None:
            raise NotFound(
                f"request {request.request_id!r} is not kept",
                fix="send the example itself, or its day; requests are kept where the project's "
                "setting log_requests is on",
            )
        document = json.loads(found)
        return document if isinstance(document, dict) else {}

    def _read(self, key: str, part: str = "") -> bytes | None:
        try:
            wanted = {"Range": part} if part else {}
            answer = self.s3.get_object(Bucket=self.bucket, Key=key, **wanted)  # type: ignore[arg-type]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return answer["Body"].read()

    def _stored(self, request: FeedbackRequest) -> Feedback | None:
        """A picture that is in the project's storage already; its type is what its bytes say."""
        key = ProjectKeys(self.project).object(request.sha256)
        size = self._size(request.sha256)
        if size is None:
            return None
        head = (self._read(key, f"bytes=0-{SNIFF_BYTES - 1}") or b"") if size else b""
        content_type = picture_type(head)
        if content_type is None or size > self.limits.max_file_bytes:
            why = reason_against(head) if content_type is None else f"{size:,} bytes long"
            raise InvalidRequest(
                f"the stored object {request.sha256[:12]} is {why}",
                fix=f"send a picture of at most {self.limits.max_file_bytes:,} bytes",
            )
        return Feedback(
            sha256=request.sha256,
            label=request.label,
            size_bytes=size,
            content_type=content_type,
            answered=request.answered,
            model_version=request.model_version,
        )

    def _size(self, sha256: str) -> int | None:
        try:
            key = ProjectKeys(self.project).object(sha256)
            return self.s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def _post(self, request: FeedbackRequest) -> dict[str, Any]:
        if not request.size_bytes or request.content_type not in IMAGE_TYPES:
            raise NotFound(
                f"the project has no object {request.sha256[:12]}",
                fix="give its size_bytes and content_type, too, and the answer says where to send "
                "it; or send image_base64",
            )
        file = AnnouncedFile(
            request.label, "feedback", request.size_bytes, request.sha256, request.content_type
        )
        self.take(request.sha256, request.size_bytes)
        return presigned_post(self.s3, self.bucket, ProjectKeys(self.project), file)
