"""What the commands that take a table print: what its columns are, numbers, and scores."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from fastnn.apps.commands.terminal import Terminal, plain
from fastnn.checks import listed

if TYPE_CHECKING:
    from fastnn.tabular.preparing import PreparedTable

WIDTH = 79  # of what is printed

#: Of tables of more columns than these, only the first few with nothing to be said of them have a line each.
MANY, FEW = 50, 10


def tell_table(table: PreparedTable, rows: int, terminal: Terminal) -> None:
    """Print what is predicted, and a line for each column: what it is used as, or why it is left out."""
    target = table.target
    if target.classes is None:
        told = (
            f"Regression: {target.name!r} is a number, {number_text(target.mean)} on average, with a standard deviation"
            f" of {number_text(target.scale)}."
        )
    else:
        told = f"Classification: {target.name!r} has {len(target.classes)} classes: {listed(target.classes, 10)}."
    _wrapped(terminal, told + (f" Decided because of {table.why}." if table.why else ""))
    dropped = f"; {table.dropped:,} left out for lack of {target.name!r}" if table.dropped else ""
    _wrapped(terminal, f"{rows:,} rows: {len(table.fold):,} for training, {len(table.held_out.y):,} held out{dropped}.")
    terminal.say()
    longest = max(12, min(24, max(len(plain(one.name)) for one in table.profiles)))
    left = longest + 2 + 10 + 9 + 8 + 2
    terminal.say(f"  {'column':{longest}} {'used as':9}{'missing':>9}{'levels':>8}  remarks".rstrip())
    unremarkable = [k for k, one in enumerate(table.profiles) if one.kind == "number" and not one.remarkable]
    unsaid = set(unremarkable[FEW:]) if len(table.profiles) > MANY else set()
    for one in (one for k, one in enumerate(table.profiles) if k not in unsaid):
        name = plain(one.name).replace("\n", "\\n")
        name = name if len(name) <= longest else name[: longest - 1] + "…"
        remark = f"LEFT OUT: {one.left_out}" if one.left_out else one.remark
        first, *more = textwrap.wrap(plain(remark).replace("\n", "\\n"), WIDTH - left) or [""]
        levels = f"{one.n_levels:,}" if one.kind in ("category", "many", "text") else ""
        kind = {"many": "category", "empty": "nothing", "constant": "constant"}.get(one.kind, one.kind.lower())[:9]
        missing = f"{one.n_missing:,}" if one.n_missing else ""
        terminal.say(f"  {name:{longest}} {kind:9}{missing:>9}{levels:>8}  {first}".rstrip())
        for line in more:
            terminal.say(" " * left + line)
    if unsaid:
        terminal.say(f"  and {len(unsaid):,} more columns of numbers, of which none is missing")
    if table.left_out:
        terminal.say("\n--use COLUMN uses a column anyway, unless it is constant.")


def _wrapped(terminal: Terminal, text: str) -> None:
    terminal.say(textwrap.fill(plain(text), WIDTH))


def score_text(score: float) -> str:
    """A score in three places; without them where it is far off."""
    if score != score:
        return "-"
    return f"{score:.4g}" if abs(score) >= 1000 else f"{score:.3f}".replace("-0.000", "0.000")


def number_text(value: float) -> str:
    """A number in the target's unit, without an exponent unless it is very large or small."""
    if value != value:
        return "-"
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e9 else f"{value:.4g}"


def measure_text(measure: str, score: float) -> str:
    """A score by the name of its measure, of which errors are in the target's unit."""
    return number_text(score) if measure in ("rmse", "mae") else score_text(score)


def baseline_titles(table: PreparedTable) -> dict[str, str]:
    """What networks have to beat, in words, by the names of their scores."""
    constant = "the mean" if table.target.classes is None else "the class shares"
    return {"linear": "a linear model", "constant": constant}


def tell_scores(network: str, scores: dict[str, dict[str, float]], table: PreparedTable, terminal: Terminal) -> None:
    """Print the held-out scores of the network, under this title, and of the baselines; and what casts doubt."""
    from fastnn.tabular.scoring import rarest, warnings_of

    measures = list(scores["network"])
    rows = [
        [title, *(measure_text(measure, scores[name].get(measure, float("nan"))) for measure in measures)]
        for name, title in {"network": network, **baseline_titles(table)}.items()
    ]
    terminal.table(["", *measures], rows)
    if table.target.classes is not None and len(set(table.held_out.y.tolist())) > 1:
        terminal.say()
        _wrapped(terminal, f"balanced: mean recall of the classes; rare recall: that of {rarest(table)!r}.")
    for warning in warnings_of(table):
        _wrapped(terminal, warning)
