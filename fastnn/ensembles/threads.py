"""Work that threads share, with a report now and then."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

from fastnn.jobs.members import MembersOutcome
from fastnn.training.interrupts import SECONDS_A_CALL

#: Called with the number of members done; what it raises ends the training.
Report = Callable[[int], None]

#: Does a piece of the work each time it is called; whether any is left.
Piece = Callable[[], bool]


def silent(done: int) -> None:
    """Report to nobody."""


def share(
    work: Callable[[], Piece], threads: int, outcome: MembersOutcome, report: Report, halt: Event | None = None
) -> None:
    """Let threads, including this one, work until nothing is left: each calls what `work()` returns until it is false.

    An exception in one of them ends the work of all; `halt` is then set, for those in the middle of a long piece.
    """
    failures: list[BaseException] = []
    halt = Event() if halt is None else halt

    def help_out() -> None:
        try:
            step = work()
            while not halt.is_set() and step():
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
        step = work()
        while step():
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
