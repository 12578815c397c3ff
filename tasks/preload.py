"""Loading slow libraries while the process waits for something else."""

import importlib
import threading


def preload(*modules: str) -> None:
    """Import modules in the background; whoever needs one meanwhile waits for it as usual."""

    def load() -> None:
        for module in modules:
            importlib.import_module(module)

    threading.Thread(target=load, name="preload", daemon=True).start()
