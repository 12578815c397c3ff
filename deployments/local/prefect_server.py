"""The Prefect server of the embedded stack, closed to other sites' pages.

Prefect takes a body without a content type for JSON, answers any host name and lets any page open
its WebSockets, which tell the ids of flows and deployments. Together these would let a page that
the person merely looks at start programs on this machine.

Run as `python -m deployments.local.prefect_server --port 4200`; all else comes from Prefect's
settings.
"""

import argparse
import os
from collections.abc import Sequence

from deployments.local.own_pages import OwnPages


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve API, UI and services on loopback until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="deployments.local.prefect_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args(arguments).port
    # Read by Prefect's own links and events, and when its modules are imported.
    os.environ |= {"PREFECT_SERVER_API_HOST": "127.0.0.1", "PREFECT_SERVER_API_PORT": str(port)}

    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    server = get_current_settings().server
    uvicorn.run(
        OwnPages(create_app(final=True), port),
        host="127.0.0.1",
        port=port,
        timeout_keep_alive=server.api.keepalive_timeout,
        log_level=server.logging_level.lower(),
    )


if __name__ == "__main__":
    main()
