import io
from dataclasses import replace
from typing import Any

from rich.console import Console

from contracts.status import JobState
from deployments.progress import LiveReporter, PlainReporter, epoch_line, reporter_for
from deployments.remote_job import RemoteJob
from deployments.transfer import TransferProgress

JOB = RemoteJob("cats", "j", JobState.RUNNING, stage="train", progress=0.5, message="fitting")


def plain() -> tuple[io.StringIO, PlainReporter]:
    screen = io.StringIO()
    return screen, PlainReporter(Console(file=screen, width=40))


def test_a_pipe_gets_plain_lines_and_a_terminal_bars() -> None:
    assert isinstance(reporter_for(Console(file=io.StringIO())), PlainReporter)
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert isinstance(reporter_for(terminal), LiveReporter)


def test_a_change_is_told_once() -> None:
    screen, reporter = plain()
    epochs: list[dict[str, Any]] = [{"epoch": 1, "train_loss": 0.25}]
    trained = replace(JOB, metrics={"epochs": epochs})
    for job in (JOB, JOB, trained, replace(trained, progress=0.6)):
        reporter.on_job(job)
    assert screen.getvalue().splitlines() == [" 50%  train  fitting", "epoch 1  loss 0.250"]


def test_an_endpoint_is_announced_while_the_job_goes_on() -> None:
    screen, reporter = plain()
    ready = replace(JOB, endpoint="http://127.0.0.1:1/a-long-address", draft_seconds=12.4)
    reporter.on_job(ready)
    reporter.on_job(replace(ready, state=JobState.DONE))
    told = [line for line in screen.getvalue().splitlines() if "endpoint" in line]
    assert told == ["an endpoint answers already after 12 s: http://127.0.0.1:1/a-long-address"]


def test_a_transfer_gets_a_few_lines() -> None:
    screen, reporter = plain()
    for done in range(101):
        reporter.on_transfer(TransferProgress("send", done, 100, done * 10, 1_000))
    told = screen.getvalue().splitlines()
    assert [line.split()[1] for line in told] == ["25/100", "50/100", "75/100", "100/100"]


def test_an_epoch_leaves_out_what_a_recipe_does_not_report() -> None:
    assert epoch_line({}) == "epoch ?"
    whole = {"epoch": 2, "stage": "head", "train_loss": 1, "val_accuracy": 0.5, "seconds": 3}
    assert epoch_line(whole) == "epoch 2  head  loss 1.000  validation accuracy 50.0%  3.0 s"
