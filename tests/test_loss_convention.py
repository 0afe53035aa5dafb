"""scikit-learn's way of counting a batch's loss, and orders given from outside: both twins, and worked out by hand."""

import numpy as np
import pytest
from reference_cases import targets

from fastnn.jobs.job import Job, LossConvention, State, Status
from fastnn.settings import catalogue
from fastnn.settings.optimizers import SGD, AdamHat, VelocitySGD
from fastnn.settings.spec import NetworkSpec
from fastnn.training.twins import twin

N, EPOCHS = 11, 4


def make_job(
    loss="mse",
    optimizer=VelocitySGD(0.1, 0.9, nesterov=True),  # noqa: B008 - frozen
    dtype="float64",
    **settings,
):
    rng = np.random.default_rng(1)
    spec = NetworkSpec((3, 5, 2), ("tanh", catalogue.LOSSES[loss].logits_of or "identity"), dtype=dtype)
    arrays = {"X": rng.normal(size=(N, 3)), "y": targets(loss, N, 2, rng), "params": rng.normal(size=spec.n_params) / 2}
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    orders = np.array([rng.permutation(N) for _ in range(3)])  # fewer than epochs: the last epoch takes the first's
    settings = (
        {"orders": orders, "convention": LossConvention(2.0, 0.5), "batch_size": 4, "l2": 0.3} | arrays | settings
    )
    return Job(spec=spec, loss=catalogue.LOSSES[loss], optimizer=optimizer, **settings)


def run(job, backend):
    losses = np.empty(EPOCHS)
    rates = job.optimizer.learning_rate / np.arange(1.0, EPOCHS + 1)
    state = State.fresh(job.spec, job.optimizer, 0)
    assert twin(backend, "training").trainer(job, state)(state, rates, losses, 10**9) is Status.DONE
    return losses


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("loss", catalogue.LOSSES)
def test_the_twins_agree(loss, weighted):
    settings = {"sample_weight": np.linspace(0, 2, N)} if weighted else {}
    jobs = [make_job(loss, optimizer=AdamHat(0.01), **settings) for _ in range(2)]
    histories = [run(job, backend) for job, backend in zip(jobs, ("numpy", "numba"), strict=True)]
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-12)
    np.testing.assert_allclose(jobs[1].params, jobs[0].params, rtol=1e-9, atol=1e-12)


def test_a_batch_without_weight_has_no_penalty():
    """Which would be divided by zero."""
    weight = (np.arange(N) % 3 > 0).astype(float)
    jobs = [make_job(optimizer=SGD(0.1), batch_size=1, sample_weight=weight) for _ in range(2)]
    histories = [run(job, backend) for job, backend in zip(jobs, ("numpy", "numba"), strict=True)]
    assert np.isfinite(histories).all()
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-12)
    np.testing.assert_allclose(jobs[1].params, jobs[0].params, rtol=1e-9)


def test_one_batch_by_hand(backend):
    """Squared errors: the gradient of half their sum over outputs, half their mean written down, l2 by the weight."""
    weight = np.linspace(0.1, 2, N)
    job = make_job(optimizer=SGD(1.0), batch_size=N, sample_weight=weight)
    start, mask = job.params.copy(), job.spec.weight_mask()
    residuals = twin("numpy", "network").predict(job.spec, start, job.X) - job.y
    losses = run(job, backend)
    penalty = 0.3 / 2 * (start[mask] ** 2).sum() / weight.sum()
    half_mean = 0.5 * np.average(residuals**2, weights=weight, axis=0).mean()
    np.testing.assert_allclose(losses[0], half_mean + penalty, rtol=1e-13)

    job = make_job(optimizer=SGD(1.0), batch_size=N, sample_weight=weight)
    state = State.fresh(job.spec, job.optimizer, 0)
    twin(backend, "training").trainer(job, state)(state, np.ones(1), np.empty(1), 1)
    np.testing.assert_allclose(start[-2:] - job.params[-2:], weight @ residuals / weight.sum(), rtol=1e-12)


def test_epochs_weigh_batches_by_their_rows(backend):
    weight = np.linspace(0.1, 2, N)
    job = make_job(optimizer=SGD(0.0), sample_weight=weight, convention=LossConvention(2.0), l2=0.0)
    o, order = twin("numpy", "network").predict(job.spec, job.params, job.X), job.orders[0]
    rows = ((o - job.y) ** 2).sum(axis=1) / 2
    batches = [order[:4], order[4:8], order[8:]]
    expected = sum(len(b) * np.average(rows[b], weights=weight[b]) for b in batches) / N
    np.testing.assert_allclose(run(job, backend)[0], expected, rtol=1e-13)
