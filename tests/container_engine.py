"""What needs a Docker engine on AWS, done without one: CodeBuild's build and Lambda's image.

A build lays out the files that the Dockerfile copies, and registers an image under its digest in
the emulator's ECR. A function with that image is made as a function of the emulator with just those
files. All other calls go to the emulator as they are.
"""

import json
import re
import tempfile
import zipfile
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any

from contracts.archive import write_zip

ROOT = "${LAMBDA_TASK_ROOT}/"
_INSTRUCTION = re.compile(r"(ARG|FROM|COPY|CMD)\s+(.+)")


def built(context: Path) -> tuple[dict[str, bytes], str]:
    """The files of an image's task root and its handler, as the context's Dockerfile has them."""
    with zipfile.ZipFile(context) as archive:
        given = {name: archive.read(name) for name in archive.namelist()}
    files: dict[str, bytes] = {}
    handler = ""
    for line in given["Dockerfile"].decode().splitlines():
        if not line or line.startswith("#"):
            continue
        instruction = _INSTRUCTION.fullmatch(line)
        assert instruction, line
        name, value = instruction.groups()
        if name == "COPY":
            source, target = value.split()
            assert target.startswith(ROOT), line
            copied = {n: data for n, data in given.items() if n.startswith(source)}
            assert copied, line
            for path, data in copied.items():
                placed = PurePosixPath(target.removeprefix(ROOT)) / path.removeprefix(source)
                files[str(placed)] = data
        elif name == "CMD":
            (handler,) = json.loads(value)
    return files, handler


def zipped(files: dict[str, bytes]) -> bytes:
    """The same files give the same zip, as the same image keeps its digest."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "function.zip"
        write_zip(files.items(), path)
        return path.read_bytes()


class ContainerEngine:
    """Builds contexts of one bucket into images of one repository."""

    def __init__(self, s3: Any, builds: Any, images: Any, repository: str) -> None:
        self._s3, self._builds, self._images = s3, builds, images
        self._repository = repository
        self._by_digest: dict[str, tuple[dict[str, bytes], str]] = {}
        self.started: list[dict[str, Any]] = []

    def builds(self) -> Any:
        return _Over(self._builds, start_build=self._start_build)

    def functions(self, client: Any) -> Any:
        def create(**call: Any) -> Any:
            return client.create_function(**self._as_zip(call, call["Code"]))

        def update(**call: Any) -> Any:
            if "ImageUri" not in call:
                return client.update_function_code(**call)
            files, _ = self._by_digest[call.pop("ImageUri").rpartition("@")[2]]
            return client.update_function_code(ZipFile=zipped(files), **call)

        return _Over(client, create_function=create, update_function_code=update)

    def _as_zip(self, call: dict[str, Any], code: dict[str, Any]) -> dict[str, Any]:
        if call["PackageType"] != "Image":
            return call
        files, handler = self._by_digest[code["ImageUri"].rpartition("@")[2]]
        same = call | {"PackageType": "Zip", "Code": {"ZipFile": zipped(files)}}
        return same | {"Handler": handler, "Runtime": "python3.12"}

    def _start_build(self, **call: Any) -> Any:
        self.started.append(call)
        bucket, _, key = call["sourceLocationOverride"].partition("/")
        with tempfile.TemporaryDirectory() as folder:
            context = Path(folder) / "context.zip"
            self._s3.download_file(bucket, key, str(context))
            image = built(context)
        variables = {v["name"]: v["value"] for v in call["environmentVariablesOverride"]}
        config = json.dumps({"tag": variables["TAG"], "base": variables["BASE"]})
        answer = self._images.put_image(
            repositoryName=self._repository,
            imageTag=variables["TAG"],
            imageManifest=json.dumps(
                {
                    "schemaVersion": 2,
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"digest": "sha256:" + sha256(config.encode()).hexdigest()},
                    "layers": [],
                }
            ),
        )
        self._by_digest[answer["image"]["imageId"]["imageDigest"]] = image
        return self._builds.start_build(**call)


class _Over:
    """A client with a few calls replaced."""

    def __init__(self, client: Any, **replaced: Any) -> None:
        self._client, self._replaced = client, replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._client, name)
