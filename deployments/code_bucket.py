"""The bucket that the stack is made from: zips and templates by their hash, trainers' files."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from contracts import keys
from deployments.packaging import Archive
from deployments.repair import is_absence

if TYPE_CHECKING:
    from boto3.session import Session
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class CodeBucket:
    """Everything in it lies under a hash of its content, so nothing is ever overwritten."""

    name: str
    client: "S3Client" = field(repr=False)

    @classmethod
    def ensure(cls, session: "Session", stack: str, account: str, region: str) -> "CodeBucket":
        """Make the bucket unless it is there; a new one is private and encrypted by default."""
        s3 = session.client("s3", region_name=region)
        name = cls.name_of(stack, account, region)
        try:
            s3.head_bucket(Bucket=name)
        except ClientError as error:
            if not is_absence(error):
                raise
            _create(s3, name, region)
        return cls(name, s3)

    @staticmethod
    def name_of(stack: str, account: str, region: str) -> str:
        """One per stack, account and region."""
        return f"{stack}-code-{account}-{region}"

    def upload(self, archive: Archive) -> str:
        """Store a zip unless it is there; return its key."""
        key = keys.code(archive.sha256)
        self.upload_file(key, archive.path)
        return key

    def store_template(self, text: str) -> str:
        """Store a CloudFormation template unless it is there; return its address.

        In a call there is room for 51,200 bytes of template, at an address for a million.
        """
        key = keys.template(hashlib.sha256(text.encode()).hexdigest())
        self.client.put_object(Bucket=self.name, Key=key, Body=text.encode())
        place = {"Bucket": self.name, "Key": key}
        # CloudFormation reads with its caller's rights; the signature is of no use to it.
        signed = self.client.generate_presigned_url("get_object", Params=place)
        return signed.partition("?")[0]

    def upload_file(self, key: str, path: Path) -> None:
        """Store a file under a key that names its content, unless it is there."""
        try:
            self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if not is_absence(error):
                raise
            self.client.upload_file(str(path), self.name, key)


def _create(s3: "S3Client", name: str, region: str) -> None:
    if region == "us-east-1":  # the one region that must not be named
        s3.create_bucket(Bucket=name)
    else:
        s3.create_bucket(
            Bucket=name,
            CreateBucketConfiguration={"LocationConstraint": region},  # type: ignore[typeddict-item]
        )
