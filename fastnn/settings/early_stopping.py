"""When a run ends before its epochs do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the network has not become better for a while.

    Parameters
    ----------
    patience : int
        So many epochs in a row without an improvement end the run; at least 1.
    min_improvement : float
        Less than this below the lowest loss so far is no improvement; at least 0.
    monitor : {"loss", "metric"}
        What is looked at, of the validation set if there is one; without one it is the loss of training.
    restore_best : bool
        Whether the network gets the parameters back that it had after its best epoch.
    """

    patience: int = 10
    min_improvement: float = 0.0
    monitor: Literal["loss", "metric"] = "loss"
    restore_best: bool = True
