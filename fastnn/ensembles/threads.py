"""Work that threads share, with a report now and then."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from fastnn.jobs.members import MembersOutcome
from fastnn.training.interrupts import SECONDS_A_CALL

#: Called with the number of members done; what it raises ends the training.
Report = Callable[[int], None]

#: Does some of the work each time it is called; whether any is left.
Worker = Callable[[], bool]


def silent(done: int) -> None:
    """Report to nobody."""


def share(
    new_worker: Callable[[], Worker], threads: int, outcome: MembersOutcome, report: Report, halt: Event | None = None
) -> None:
    """Let threads, including this one, work until nothing is left, each by a worker of its own.

    An exception in one of them ends the work of all; `halt` is then set, for those in the middle of a long call.
    """
    failures: list[BaseException] = []
    halt = Event() if halt is None else halt

    def help_out() -> None:
        try:
            work = new_worker()
            while not halt.is_set() and work():
                pass
        except BaseException as error:
            failures.append(error)

    def show() -> None:
        if failures:
            raise failures[0]
        report(outcome.records.n_ended)

    helpers = [Thread(target=help_out, name=f"fastnn-member-{i}") for i in range(1, threads)]
    try:
        for helper in helpers:
            helper.start()
        work = new_worker()
        while work():
            show()
        for helper in helpers:
            while helper.is_alive():
                helper.join(SECONDS_A_CALL)
                show()
    finally:
        halt.set()
        for helper in helpers:
            if helper.ident is not None:  # it was started
                helper.join()
    show()
