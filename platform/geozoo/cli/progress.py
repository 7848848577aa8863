"""Progress of long runs on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from geozoo.populate import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

LINE_SECONDS = 15.0


def console() -> Console:
    """The console for people, on standard error, so that standard output stays for results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def work_progress(total: Work) -> Iterator[Callable[[Work], None]]:
    """Give a function to call with every piece of work done."""
    reporter = _bar(total) if sys.stderr.isatty() else _lines(total)
    with reporter as on_work:
        yield on_work


@contextmanager
def _bar(total: Work) -> Iterator[Callable[[Work], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[text]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    done, started = Work(), time.monotonic()
    with Progress(*columns, console=console(), refresh_per_second=4, speed_estimate_period=60) as progress:
        task = progress.add_task("populate", total=total.samples, text=_describe(done, total, 0.0))

        def on_work(work: Work) -> None:
            nonlocal done
            done += work
            text = _describe(done, total, done.samples / (time.monotonic() - started))
            progress.update(task, completed=done.samples, text=text)

        yield on_work


@contextmanager
def _lines(total: Work) -> Iterator[Callable[[Work], None]]:
    out = console()
    done = Work()
    started = last = time.monotonic()

    def on_work(work: Work) -> None:
        nonlocal done, last
        done += work
        now = time.monotonic()
        if now - last >= LINE_SECONDS:
            last = now
            out.print(_describe(done, total, done.samples / (now - started)))

    yield on_work
    out.print(_describe(done, total, done.samples / (time.monotonic() - started)))


def _describe(done: Work, total: Work, samples_per_s: float) -> str:
    return (
        f"{done.members}/{total.members} members, {done.states}/{total.states} states, {samples_per_s:,.0f} samples/s"
    )


@contextmanager
def epoch_progress(epochs: int) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Give a function to call with the record of every epoch of a training run."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    out = console()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("epochs  {task.fields[text]}"), TimeElapsedColumn())
    last = 0.0
    with Progress(*columns, console=out, disable=not out.is_terminal) as progress:
        task = progress.add_task("train", total=epochs, text="")

        def on_epoch(record: Mapping[str, float]) -> None:
            nonlocal last
            text = _losses(record)
            progress.update(task, completed=record["epoch"], text=text)
            if not out.is_terminal and (time.monotonic() - last >= LINE_SECONDS or record["epoch"] == epochs):
                last = time.monotonic()
                out.print(f"epoch {record['epoch']:.0f}/{epochs}: {text}")

        yield on_epoch


def _losses(record: Mapping[str, float]) -> str:
    known = [name for name in ("loss", "validation_loss") if name in record]
    return ", ".join(f"{name.replace('_', ' ')} {record[name]:.4f}" for name in known)
