"""An estimator's attributes: set from the arguments of its constructor, and put back where an error ends a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def store_arguments(estimator: Any, arguments: dict[str, Any]) -> None:
    """Set each argument of a constructor, its ``locals()``, as the attribute of that name, as scikit-learn asks."""
    vars(estimator).update({name: value for name, value in arguments.items() if name not in ("self", "__class__")})


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """A context in which an error, or Ctrl-C, leaves an estimator as it was: a fitted one predicts what it learned."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
