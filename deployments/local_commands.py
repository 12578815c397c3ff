"""`exemplar up`, `down`, `open`, `status` and `demo`: the embedded stack from the command line."""

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table

from deployments.options import FAILED, AsJson, about, print_json


def up(
    *,
    weights_dir: Annotated[
        Path | None, about("A folder with pretrained weights, looked into before the hub.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Start everything on this machine: storage, functions, workflows, tracking.

    Repeating it is harmless; after a crash it brings back what is missing.

    Example: `exemplar up`
    """
    from deployments.connection import state_home
    from deployments.local.embedded import up as start

    if weights_dir:
        os.environ["EXEMPLAR_WEIGHTS_DIR"] = str(weights_dir.resolve())
    console, started = Console(stderr=json), time.monotonic()
    with console.status("starting") as spinner:

        def say(step: str) -> None:
            spinner.update(step)
            console.print(f"  {step}", style="dim", highlight=False)

        links = start(state_home(), say)
    if json:
        print_json(asdict(links) | {"state_folder": str(state_home())})
        return
    console.print(f"\nExemplar is up ({time.monotonic() - started:.0f} s).\n", style="bold green")
    _show_page(console, links.page)
    table = Table.grid(padding=(0, 2))
    table.add_row("workflows", links.prefect_ui)
    table.add_row("experiments", links.mlflow_ui)
    table.add_row("API", links.url)
    table.add_row("token", links.token)
    table.add_row("state folder", str(state_home()))
    console.print(table)
    console.print("\nNext: exemplar train FOLDER --project my-cat", highlight=False)


def _show_page(console: Console, link: str) -> None:
    """Whole on one line, so that a terminal opens all of it."""
    console.print("Open this in a browser:", style="bold")
    console.print(f"  {link}\n", style="bold cyan", markup=False, highlight=False, soft_wrap=True)


def open_page(
    *,
    project: Annotated[str, about("Show this project.")] = "",
    json: AsJson = False,
) -> None:
    """Open the page in a browser, as the user whose token this machine has.

    Where there is no browser it prints the link.

    Example: `exemplar open --project my-cat`
    """
    import webbrowser

    from deployments.connection import find_connection

    link = find_connection().page_link(project)
    is_open = webbrowser.open(link)
    if json:
        print_json({"page": link, "opened": is_open})
    elif not is_open:
        _show_page(Console(), link)


def down(*, json: AsJson = False) -> None:
    """Stop what `exemplar up` started; data and models stay.

    Example: `exemplar down`
    """
    from deployments.connection import state_home
    from deployments.local.embedded import down as stop

    stopped = stop(state_home())
    if json:
        print_json({"stopped": stopped, "state_folder": str(state_home())})
    else:
        Console().print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(*, json: AsJson = False) -> int:
    """Show which parts of the local stack are running; exit code 1 unless all are.

    Example: `exemplar status`
    """
    from deployments.connection import state_home
    from deployments.local.embedded import Links
    from deployments.local.embedded import status as look

    services, links = look(state_home()), Links.read(state_home())
    is_up = bool(services) and all(
        service.is_running and service.is_healthy is not False for service in services
    )
    if json:
        page = {"page": links.page if links else ""}
        print_json({"up": is_up, "services": [asdict(service) for service in services]} | page)
        return 0 if is_up else FAILED
    console = Console()
    if is_up and links and links.page:
        _show_page(console, links.page)
    table = Table("part", "process", "state", box=None)
    for service in services:
        state = "not running"
        if service.is_running:
            state = "not answering" if service.is_healthy is False else "running"
        table.add_row(service.name, str(service.pid or "-"), state)
    console.print(table if services else "nothing has been started here yet")
    if not is_up:
        console.print("start or heal it with: exemplar up", highlight=False)
    return 0 if is_up else FAILED


def demo() -> int:
    """Start the stack, train on small sets of pictures and of text, and ask their endpoints.

    The pictures are scikit-learn's handwritten digits, the texts are made-up sentences, so nothing
    is downloaded.

    Example: `exemplar demo`
    """
    from deployments.connection import state_home
    from deployments.demo import (
        ask_about_sentences,
        ask_endpoint,
        write_digits,
        write_sentences,
    )
    from deployments.train_command import train

    up()
    folder = state_home() / "demo" / "digits"
    write_digits(folder)
    Console().print(f"\nTraining on the digits in {folder}\n", style="bold", highlight=False)
    code = train(folder, project="digits")
    code = code or ask_endpoint("digits", state_home() / "demo" / "unseen")
    if code:
        return code
    sentences = state_home() / "demo" / "sentences.csv"
    write_sentences(sentences)
    Console().print(f"\nTraining on {sentences}\n", style="bold", highlight=False)
    code = train(sentences, project="topics", recipe="fast")
    return code or ask_about_sentences("topics")
