"""The script an instance runs when it boots: one flow run, then off."""

import json
import shlex
from typing import Final

from contracts.errors import LimitExceeded
from deployments.ec2.configuration import EC2JobConfiguration

_MAX_BYTES: Final = 16 * 1024  # EC2's limit, before base64
# The machine ends even if the program that watches the run is stuck.
_SPARE_SECONDS: Final = 300


def user_data(configuration: EC2JobConfiguration) -> str:
    """Return a bash script whose every way out ends the machine.

    Raises `LimitExceeded` when it is longer than EC2 takes.
    """
    lifetime = configuration.max_lifetime_minutes * 60
    exports = "\n".join(
        f"export {name}={shlex.quote(value)}"
        for name, value in sorted(configuration.env.items())
        if value is not None
    )
    script = f"""#!/bin/bash
trap 'shutdown -h now' EXIT
( sleep {lifetime + _SPARE_SECONDS}; shutdown -h now ) >/dev/null 2>&1 &
{exports}
export EXEMPLAR_SECRET_ENV={shlex.quote(json.dumps(configuration.secret_env))}
{configuration.setup_script}
{shlex.quote(configuration.python)} -m deployments.ec2.on_box \\
  --lifetime-seconds {lifetime} -- {configuration.command}
"""
    if len(script.encode()) > _MAX_BYTES:
        raise LimitExceeded(
            f"the machine's start script has {len(script.encode()):,} bytes, "
            f"EC2 takes {_MAX_BYTES:,}",
            fix="shorten the set-up script or bake it into the image",
        )
    return script
