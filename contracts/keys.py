"""Every S3 key. No other module joins key strings."""

import re
from dataclasses import dataclass
from typing import Final

from contracts.errors import InvalidName
from contracts.identity import Project, identifier, sha256_hex

_FILENAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_=-]*(\.[A-Za-z0-9_=-]+)*")
_WHEEL = re.compile(r"[A-Za-z0-9_]+-[0-9][A-Za-z0-9.+]*-[a-z0-9]+-[a-z0-9]+-[a-z0-9_]+\.whl")
_EVALUATION = re.compile(r"evaluation-([0-9a-f]{64})\.json")
DAY_PATTERN: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_DAY = re.compile(DAY_PATTERN)
_INBOX_MANIFEST = re.compile(r"users/([^/]+)/([^/]+)/inbox/([^/]+)/manifest\.json")

COLLECTION: Final = "examples"  # the one upload that people edit; its list stays
MANIFEST_FILE: Final = "manifest.json"
REPORT_PAGE: Final = "report.html"
REPORT_DATA: Final = "report.json"
LABEL_CHECK: Final = "labels.json"
BUNDLE_ARCHIVE: Final = "bundle.zip"
TRAINING_RECORD: Final = "training.json"


def _filename(value: str) -> str:
    if len(value) > 128 or not _FILENAME.fullmatch(value):
        raise InvalidName(
            f"file name {value[:80]!r} may hold only letters, digits, '_', '=', '-' and inner dots",
            fix="use a name such as 'model.onnx'",
        )
    return value


def _day(value: str) -> str:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise InvalidName(f"day {str(value)[:40]!r} is no day", fix="use a day such as 2026-11-30")
    return value


@dataclass(frozen=True, slots=True)
class ProjectKeys:
    """Builds every key of one project; each lies under `prefix`."""

    project: Project

    @property
    def prefix(self) -> str:
        """The project's whole storage; IAM policies are scoped by it."""
        return f"users/{self.project.user}/{self.project.name}/"

    @property
    def inbox(self) -> str:
        """What has been announced but not yet ingested."""
        return f"{self.prefix}inbox/"

    def inbox_part(self, upload: str, digest: str) -> str:
        """One announced batch of an upload's file list, named by the batch's SHA-256."""
        return f"{self.inbox}{identifier(upload, 'upload')}/files-{sha256_hex(digest)}.json"

    def inbox_parts(self, upload: str) -> str:
        """Common prefix of an upload's batches."""
        return f"{self.inbox}{identifier(upload, 'upload')}/files-"

    def inbox_manifest(self, upload: str) -> str:
        """Dropping this object starts the pipeline."""
        return f"{self.inbox}{identifier(upload, 'upload')}/{MANIFEST_FILE}"

    def inbox_refusal(self, upload: str) -> str:
        """Why a dropped manifest was not accepted."""
        return f"{self.inbox}{identifier(upload, 'upload')}/refused.json"

    def object(self, sha256: str) -> str:
        """One uploaded example, by its content."""
        return f"{self.prefix}objects/{sha256_hex(sha256)}"

    def request(self, day: str, request_id: str) -> str:
        """A request to the endpoint that the project's owner wanted kept; `day` is YYYY-MM-DD."""
        return f"{self.prefix}requests/{_day(day)}/{identifier(request_id, 'request')}.json"

    def manifest(self, version: str) -> str:
        """The immutable manifest of a dataset version."""
        return f"{self.prefix}datasets/{sha256_hex(version)}/{MANIFEST_FILE}"

    def report(self, version: str, filename: str) -> str:
        """A file of a dataset version's report."""
        return f"{self.prefix}datasets/{sha256_hex(version)}/report/{_filename(filename)}"

    def texts(self, version: str) -> str:
        """The texts that were read out of a dataset version's tables, by content hash."""
        return f"{self.prefix}datasets/{sha256_hex(version)}/texts.parquet"

    def features(self, encoder: str) -> str:
        """Features of the project's examples under one frozen encoder, by content hash."""
        return f"{self.prefix}features/{identifier(encoder, 'encoder')}.npz"

    def checkpoint(self, run: str, filename: str) -> str:
        """A training checkpoint."""
        return f"{self.prefix}checkpoints/{identifier(run, 'run')}/{_filename(filename)}"

    @property
    def bundles(self) -> str:
        """All deployable bundles, each in a folder named by its model version."""
        return f"{self.prefix}bundles/"

    def bundle(self, model_version: str, filename: str) -> str:
        """A file of a deployable bundle."""
        return f"{self.bundle_prefix(model_version)}{_filename(filename)}"

    def bundle_prefix(self, model_version: str) -> str:
        """Folder of a deployable bundle."""
        return f"{self.bundles}{identifier(model_version, 'model version')}/"

    def training_record(self, model_version: str) -> str:
        """How a trained bundle came about: its recipe and how long it took."""
        return f"{self.bundle_prefix(model_version)}{TRAINING_RECORD}"

    def evaluation(self, model_version: str, dataset_version: str) -> str:
        """A bundle's answers on a dataset version's test split."""
        return f"{self.bundle_prefix(model_version)}evaluation-{sha256_hex(dataset_version)}.json"

    def decision(self, model_version: str, dataset_version: str) -> str:
        """Whether a bundle was released, and by what it was decided."""
        return f"{self.bundle_prefix(model_version)}decision-{sha256_hex(dataset_version)}.json"

    @property
    def requests(self) -> str:
        """Stored requests to the endpoint, in a folder for each day."""
        return f"{self.prefix}requests/"

    def model_report(self, model_version: str, dataset_version: str, suffix: str) -> str:
        """A model's report on a dataset version's test split, `html` or `json`."""
        name = _filename(f"report-{sha256_hex(dataset_version)}.{suffix}")
        return f"{self.bundle_prefix(model_version)}{name}"


def evaluated_dataset(filename: str) -> str | None:
    """The dataset version that a bundle's evaluation is of; None for any other file."""
    match = _EVALUATION.fullmatch(filename)
    return match[1] if match else None


def expiry_tag(key: str) -> str:
    """The object tag by which the bucket's lifecycle finds what may expire; empty for the rest.

    A lifecycle rule's prefix has no wildcard, so it cannot say users/*/*/checkpoints/.
    """
    parts = key.split("/")
    folder = parts[3] if len(parts) > 4 and parts[0] == "users" else ""
    tags = {"checkpoints": "checkpoint", "inbox": "inbox", "requests": "request"}
    if folder == "inbox" and parts[4] == COLLECTION:
        return "expires=never"
    return f"expires={tags[folder]}" if folder in tags else ""


def weights(filename: str) -> str:
    """Pretrained weights and encoders shared by all projects; no tenant can write here."""
    return f"weights/{_filename(filename)}"


def tracked(path: str) -> str:
    """MLflow's artifacts, which its server keeps below this prefix; `path` is MLflow's."""
    return f"mlflow/{path.strip('/')}/"


def code(sha256: str) -> str:
    """A function or layer zip, by its content."""
    return f"code/{sha256_hex(sha256)}.zip"


def template(sha256: str) -> str:
    """A CloudFormation template, by its content."""
    return f"templates/{sha256_hex(sha256)}"


def trainer(sha256: str, filename: str) -> str:
    """A file that training machines install; `sha256` is of all of one release's files."""
    return f"trainer/{sha256_hex(sha256)}/{_wheel_or_file(filename)}"


def _wheel_or_file(value: str) -> str:
    return value if _WHEEL.fullmatch(value) else _filename(value)


def parse_inbox_manifest(key: str) -> tuple[Project, str]:
    """Return the project and upload id of an inbox manifest's key; raises `InvalidName`."""
    match = _INBOX_MANIFEST.fullmatch(key)
    if not match:
        raise InvalidName(
            f"key {key[:200]!r} is no inbox manifest",
            fix="use users/{user}/{project}/inbox/{upload}/manifest.json",
        )
    user, name, upload = match.groups()
    return Project(user, name), identifier(upload, "upload")
