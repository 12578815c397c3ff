"""Makes ministack save and restore through our snapshots, and repairs what a kill interrupted."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack import app as ministack_app
from ministack.core import persistence
from ministack.services import lambda_svc

from deployments.local.blobs import Blobs
from deployments.local.snapshots import Snapshots

_UNREADABLE = ".unreadable"


def install(folder: Path) -> Snapshots:
    """Call before ministack starts, which starts the snapshots; `folder` is its state folder."""
    blobs = Blobs(folder / "blobs")
    blobs.prune([*folder.glob("*.json"), *folder.glob(f"*{_UNREADABLE}")])
    snapshots = Snapshots(
        folder, blobs, ministack_app._build_persistence_save_dict, _wrap, persistence._json_default
    )
    persistence.save_state = snapshots.write  # what ministack calls on a clean stop
    persistence._json_object_hook = _restoring(blobs, persistence._json_object_hook)
    # ministack would write code to files of its own, and remove them before the state that names
    # them is replaced. Layers it would put into the state itself, in base64.
    lambda_svc._externalize_code_zip = lambda _function, _referenced: None
    lambda_svc._prune_orphan_code_blobs = lambda _referenced: None
    ministack_app._load_persisted_state = _then(
        ministack_app._load_persisted_state,
        settle_functions,
        settle_stacks,
        snapshots.start,  # not earlier: it would save what is not restored yet
    )
    ministack_app.load_state = _keeping_unreadable(ministack_app.load_state, folder)
    return snapshots


def settle_functions() -> None:
    """A function whose creation was interrupted is ready: its code was stored before it."""
    for function in lambda_svc._functions._data.values():
        for record in [function, *function.get("versions", {}).values()]:
            config: dict[str, Any] = record.get("config") or {}
            if config.get("State") == "Pending":
                config.update(State="Active", StateReason="", StateReasonCode="")
            if config.get("LastUpdateStatus") == "InProgress":
                config["LastUpdateStatus"] = "Successful"


def settle_stacks() -> None:
    """A stack whose operation was interrupted has failed: nothing would ever finish it."""
    # Restoring has imported it if there are stacks; importing it takes seconds.
    cloudformation = sys.modules.get("ministack.services.cloudformation")
    stacks = cloudformation._stacks._data if cloudformation else {}
    for stack in stacks.values():
        status = str(stack.get("StackStatus", ""))
        if status.endswith("_IN_PROGRESS"):
            stack["StackStatus"] = _INTERRUPTED.get(status, "UPDATE_ROLLBACK_COMPLETE")
            stack["StackStatusReason"] = "the emulator was stopped during this operation"


# A stack must be deleted after the first two and can be updated after any other.
_INTERRUPTED = {
    "CREATE_IN_PROGRESS": "ROLLBACK_COMPLETE",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
    "REVIEW_IN_PROGRESS": "REVIEW_IN_PROGRESS",
}


def _wrap(service: str, state: Any) -> dict[str, Any]:
    version = persistence._state_format_version(service)
    return {"__ministack_format__": version, "payload": state}


def _restoring(blobs: Blobs, hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def restored(value: dict[str, Any]) -> Any:
        found = blobs.restore(value)
        return found if isinstance(found, bytes) else hook(value)

    return restored


def _keeping_unreadable(load: Callable[[str], Any], folder: Path) -> Callable[[str], Any]:
    """Put a file that cannot be read aside: the service starts empty and would overwrite it."""

    def kept(service: str) -> Any:
        state = load(service)
        path = folder / f"{service}.json"
        if state is None and path.exists():
            path.replace(path.with_suffix(_UNREADABLE))
        return state

    return kept


def _then(load: Callable[[], None], *steps: Callable[[], None]) -> Callable[[], None]:
    def loaded() -> None:
        load()
        for step in steps:
            step()

    return loaded
