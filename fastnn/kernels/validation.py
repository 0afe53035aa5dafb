"""What a validation set shows of a network, by functions that predict and give the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from fastnn.jobs.job import Job


def evaluate(
    predict: Callable[..., NDArray], loss_and_grad: Callable[..., tuple[float, NDArray]], job: Job
) -> tuple[float, float]:
    """The loss, without the l2 penalty, and the metric of a job's network on its validation set."""
    monitor = job.monitor
    assert monitor is not None
    settings: dict[str, Any] = {"sample_weight": monitor.sample_weight, "loss_parameter": job.loss_parameter}
    loss, _ = loss_and_grad(job.spec, job.params, monitor.X, monitor.y, job.loss, **settings)
    return loss, monitor.judge(predict(job.spec, job.params, monitor.X), job.loss)
