"""The AWS of the embedded stack: ministack on loopback, guarded, isolated and durable.

Run as `python -m deployments.local.emulator --port 4566 --state-dir DIR`.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from contracts.errors import ExemplarError, Unavailable
from deployments.local.lock import exclusive

MINISTACK_VERSION = "1.5.33"  # its inner functions are replaced here, so no other version will do
HEALTH_PATH = "/_ministack/health"


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """Where the emulator listens and keeps its state; `origins` are pages that may call it."""

    port: int
    state_dir: Path
    origins: tuple[str, ...] = ()

    @property
    def endpoint(self) -> str:
        """For `AWS_ENDPOINT_URL`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def work_dir(self) -> Path:
        """What does not outlive the process."""
        return self.state_dir / "work"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    settings = parse(arguments)
    try:
        check_version()
        with exclusive(settings.state_dir / "emulator.lock", "the emulator"):
            return serve(settings)
    except ExemplarError as error:
        print(f"{error.message}\n{error.fix}".strip(), file=sys.stderr)
        return 1


def parse(arguments: Sequence[str] | None) -> EmulatorSettings:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="deployments.local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="http://localhost:8080",
        help="a web page's origin that may call the emulator; may be repeated",
    )
    given = parser.parse_args(arguments)
    return EmulatorSettings(given.port, given.state_dir.resolve(), tuple(given.allow_origin))


def check_version() -> None:
    """Raise `Unavailable` unless the very version that this launcher was made for is installed."""
    try:
        installed = version("ministack")
    except PackageNotFoundError:
        installed = "missing"
    if installed != MINISTACK_VERSION:
        raise Unavailable(
            f"ministack {MINISTACK_VERSION} is needed, {installed} is installed",
            fix=f"pip install 'ministack=={MINISTACK_VERSION}'",
        )


def serve(settings: EmulatorSettings) -> int:
    """Run the emulator in this process, which must not have imported ministack before."""
    from deployments.local.code_trees import remove_tree

    _prepare_environment(settings)
    # Only importable now: ministack reads its settings when it is imported.
    from deployments.local import lambda_pool
    from deployments.local.function_urls import name_signers
    from deployments.local.lambda_workers import Workplace

    workplace = Workplace(settings.work_dir / "lambda", settings.endpoint)
    lambda_pool.end_orphans(workplace)
    remove_tree(settings.work_dir)
    Path(tempfile.gettempdir()).mkdir(parents=True)
    try:
        lambda_pool.install(workplace)
        name_signers()
        asyncio.run(_serve(settings))
    finally:
        lambda_pool.end_all()
        remove_tree(settings.work_dir)
    return 0


def _prepare_environment(settings: EmulatorSettings) -> None:
    """Drop the person's AWS settings, which ministack would hand to functions, and set our own."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MINISTACK_", "LAMBDA_", "LOCALSTACK_")):
            del os.environ[name]
    temporary = settings.work_dir / "tmp"
    os.environ |= {
        "AWS_SECRET_ACCESS_KEY": "test",
        "BIND_HOST": "127.0.0.1",
        "DOCKER_HOST": "unix:///nonexistent",  # functions run here, containers of others stay alone
        "GATEWAY_PORT": str(settings.port),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "PERSIST_STATE": "1",
        "S3_DATA_DIR": str(settings.state_dir / "s3"),
        "S3_PERSIST": "1",
        "SFTP_ENABLED": "0",
        "STATE_DIR": str(settings.state_dir / "services"),
        "TMPDIR": str(temporary),
    }
    tempfile.tempdir = str(temporary)
    (settings.state_dir / "services").mkdir(parents=True, exist_ok=True)


async def _serve(settings: EmulatorSettings) -> None:
    from hypercorn.asyncio import serve as serve_asgi
    from hypercorn.config import Config
    from ministack import app as ministack_app

    from deployments.local import alias_routing, persistence
    from deployments.local.call_limit import CallLimit
    from deployments.local.function_urls import by_path
    from deployments.local.own_pages import OwnPages
    from deployments.local.page_address import at_app
    from deployments.local.snapshots import watching

    alias_routing.install()
    snapshots = persistence.install(settings.state_dir / "services")
    inner = CallLimit(watching(at_app(by_path(ministack_app.app)), snapshots))
    app = OwnPages(inner, settings.port, settings.origins)
    config = Config()
    config.bind = [f"127.0.0.1:{settings.port}"]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 75  # longer than boto3 keeps an idle connection

    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)

    async def stop_requested() -> None:
        await stopping.wait()
        await asyncio.to_thread(snapshots.stop)  # before ministack saves a last time

    await serve_asgi(app, config, shutdown_trigger=stop_requested)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
