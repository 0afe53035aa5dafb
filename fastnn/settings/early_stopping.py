"""When a run ends before it has done all its epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastnn.settings.intervals import AT_LEAST_0, AT_LEAST_1, one_of, within


@dataclass(frozen=True)
class EarlyStopping:
    """Stop once the network has not improved for a while.

    Parameters
    ----------
    patience : int
        Number of epochs in a row without improvement after which the run ends; at least 1.
    min_improvement : float
        How far below the lowest loss so far (or above the highest metric) counts as an improvement; at least 0.
    monitor : {"loss", "metric"}
        What must improve, on the validation set; without one it must be the training loss.
    restore_best : bool
        Whether to give the network the parameters it had after its best epoch, unless the run diverged or Ctrl-C
        ended it.
    """

    patience: int = within(AT_LEAST_1, 10)
    min_improvement: float = within(AT_LEAST_0, 0.0)
    monitor: Literal["loss", "metric"] = one_of("loss", "metric", default="loss")
    restore_best: bool = True
