"""The report that `compt train` leaves in its run folder, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from ray_compt.chain.folder import run_place
from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.report import FILE, NothingToShow, write_report
from ray_compt.chain.watch import Watch
from ray_compt.errors import StorageError, UserError
from ray_compt.report.board import Event
from ray_compt.report.terminal import Terminal
from ray_compt.storage import is_url

NO_EXAMPLES = "the run had not ended; `compt report` shows them."


@contextmanager
def reported(run_dir: str, console: Console) -> Iterator[Watch]:
    """Leave a report when the block ends.

    One that fails or is stopped leaves it too, without examples, where this start has come to train: a folder that
    refused it is none of its business. What ends the block goes on as it was.

    Args:
        run_dir: the run folder.
        console: gets one line: where the report lies, or why there is none.

    Yields:
        What `train_chain` takes as `watch`.
    """
    begun = _Begun()
    try:
        yield begun
    except BaseException as error:
        # A store that does not answer would only keep people waiting once more.
        if begun.begun and not (isinstance(error, StorageError) and is_url(run_dir)):
            leave_report(run_dir, console, ended=False)
        raise
    leave_report(run_dir, console)


def leave_report(run_dir: str, console: Console, *, ended: bool = True) -> None:
    """Write the report into the run folder; whatever keeps it away is one line.

    Args:
        ended: whether all stages are done; else nothing is embedded for it, and a run without a step has none.
    """
    terminal = Terminal(console)
    place = run_place(run_dir) / FILE
    try:
        write_report([run_dir], place, examples=ended, no_examples=NO_EXAMPLES)
    except NothingToShow as error:
        if ended:
            terminal.warn(_failed(error, run_dir))
    # A second Ctrl-C or SIGTERM ends only the report; the first one is what the command ends with.
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        terminal.warn(_failed(error, run_dir))
    else:
        terminal.line(f"report: {place}")


def _failed(error: BaseException, run_dir: str) -> str:
    reason = error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    if not isinstance(error, Exception):
        reason = "stopped"
    return f"no report: {' '.join(reason.split())}; `compt report {run_dir}` tries again"


class _Begun(Watch):
    """Notices whether a start has come to train, or has found a stage done."""

    def __init__(self) -> None:
        self.begun = False

    def event(self, entry: StageEntry, event: Event) -> None:
        self.begun = True

    def stage_done(self, entry: StageEntry) -> None:
        self.begun = True
