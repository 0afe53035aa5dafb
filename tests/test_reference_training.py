"""The NumPy training loop: against a loop typed out, resuming, bad data, divergence."""

import numpy as np
import pytest
from reference_cases import rules

from fastnn.jobs.job import Job, State, Status
from fastnn.reference import clip, loss_and_grad, step, train
from fastnn.reference.random import key, permutation
from fastnn.settings import catalogue
from fastnn.settings.optimizers import SGD
from fastnn.settings.spec import NetworkSpec

SEED = 12
EPOCHS = 5
RULES = rules(0.01)
NO_LIMIT = 10**9


def make_job(optimizer=RULES[1], *, n=11, batch_size=4, dtype="float64", **settings):
    """A small regression, 3-5-2 tanh, with weights on the samples."""
    rng = np.random.default_rng(0)
    spec = NetworkSpec((3, 5, 2), ("tanh", "identity"), dtype=dtype)
    X, y, params = rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), rng.normal(size=spec.n_params)
    arrays = {"params": params, "X": X, "y": y, "sample_weight": rng.random(n)}
    settings = {name: array.astype(dtype) for name, array in arrays.items()} | settings
    if catalogue.OPTIMIZERS[type(optimizer).__name__].whole_batch:
        batch_size = n
    return Job(spec=spec, loss=catalogue.LOSSES["mse"], optimizer=optimizer, batch_size=batch_size, **settings)


def rates(job, epochs=EPOCHS):
    """A rate that differs from epoch to epoch."""
    return job.optimizer.learning_rate / np.arange(1.0, epochs + 1)


def run(job, max_steps=NO_LIMIT, epochs=EPOCHS):
    """One call from a fresh start: status, state, losses."""
    state, losses = State.fresh(job.spec, job.optimizer, SEED), np.full(epochs, np.nan)
    return train(job, state, rates(job, epochs), losses, max_steps), state, losses


def assert_same_bits(job, state, losses, expected_job, expected_state, expected_losses):
    np.testing.assert_array_equal(job.params, expected_job.params)
    np.testing.assert_array_equal(losses, expected_losses)
    for name in ("slots", "counters", "sums"):
        np.testing.assert_array_equal(getattr(state, name), getattr(expected_state, name))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_is_the_loop_typed_out(rule, shuffle, weighted, dtype):
    settings = {"shuffle": shuffle, "dtype": dtype, "l2": 0.01, "max_grad_norm": 0.5, "member": 3}
    job = make_job(rule, **settings if weighted else settings | {"sample_weight": None})
    params, slots, t = job.params.copy(), State.fresh(job.spec, rule, SEED).slots, 0
    losses = []
    for epoch, rate in enumerate(rates(job)):
        order = permutation(key(SEED, 3, epoch), 11) if shuffle else np.arange(11)
        batch_losses, batch_weights = [], []
        for first in range(0, 11, job.batch_size):
            rows = order[first : first + job.batch_size]
            weight = job.sample_weight[rows] if weighted else None
            loss, gradient = loss_and_grad(
                job.spec, params, job.X[rows], job.y[rows], job.loss, sample_weight=weight, l2=0.01
            )
            batch_losses.append(loss)
            batch_weights.append(weight.sum() if weighted else len(rows))
            clip(gradient, 0.5)
            t += 1
            step(rule, params, gradient, slots, float(rate), t)
        losses.append(np.average(batch_losses, weights=batch_weights))

    assert not np.array_equal(params, job.params)
    status, state, job_losses = run(job)
    assert status is Status.DONE
    np.testing.assert_array_equal(job.params, params)
    np.testing.assert_array_equal(state.slots, slots)
    np.testing.assert_array_equal(state.counters, [EPOCHS, 0, t])
    np.testing.assert_array_equal(state.sums, 0)
    np.testing.assert_allclose(job_losses, losses, rtol=1e-6 if dtype == "float32" else 1e-14)


def test_delta_and_labels_reach_the_loss():
    for delta in (0.01, 100.0):
        job = make_job(batch_size=11, sample_weight=None, loss_parameter=delta)
        job.loss = catalogue.LOSSES["huber"]
        expected, _ = loss_and_grad(job.spec, job.params, job.X, job.y, job.loss, loss_parameter=delta)
        assert run(job)[2][0] == pytest.approx(expected, rel=1e-13)

    job = make_job(SGD(0.5), batch_size=11, sample_weight=None, y=np.arange(11) % 2)
    job.spec, job.loss = NetworkSpec((3, 5, 2), ("tanh", "softmax")), catalogue.LOSSES["cross_entropy"]
    status, _, losses = run(job, epochs=30)
    assert status is Status.DONE
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("max_steps", [1, 2, 3, 7])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_pieces_make_the_same_bits_as_one_run(rule, shuffle, max_steps):
    whole, job = make_job(rule, shuffle=shuffle), make_job(rule, shuffle=shuffle)
    _, whole_state, whole_losses = run(whole)
    state, losses = State.fresh(job.spec, rule, SEED), np.full(EPOCHS, np.nan)
    total_steps = EPOCHS * job.n_batches
    for steps in range(max_steps, total_steps + max_steps, max_steps):
        epoch = state.counters[0]
        status = train(job, state, rates(job)[epoch:], losses[epoch:], max_steps)
        assert status is (Status.DONE if steps >= total_steps else Status.PAUSED)
        assert state.counters[2] == min(steps, total_steps)
    assert_same_bits(job, state, losses, whole, whole_state, whole_losses)


def test_calls_by_epochs_make_the_same_bits_as_one_run():
    whole, job = make_job(), make_job()
    _, whole_state, whole_losses = run(whole)
    state, losses = State.fresh(job.spec, job.optimizer, SEED), np.empty(EPOCHS)
    for epochs in (slice(0, 1), slice(1, 1), slice(1, 3), slice(3, 5)):
        assert train(job, state, rates(job)[epochs], losses[epochs], NO_LIMIT) is Status.DONE
    assert_same_bits(job, state, losses, whole, whole_state, whole_losses)


def test_pauses_and_ends():
    job = make_job()
    before = job.params.copy()
    status, state, losses = run(job, max_steps=0)
    assert status is Status.PAUSED
    np.testing.assert_array_equal(job.params, before)
    np.testing.assert_array_equal(state.counters, 0)

    status, state, losses = run(job, max_steps=3)  # as many as an epoch has
    assert status is Status.PAUSED
    np.testing.assert_array_equal(state.counters, [1, 0, 3])
    np.testing.assert_array_equal(np.isfinite(losses), [True, False, False, False, False])

    status, state, losses = run(job, max_steps=3 * EPOCHS)
    assert status is Status.DONE
    assert np.isfinite(losses).all()


def test_seed_and_member_choose_the_order():
    ends = set()
    for member in (0, 1):
        for seed in (0, 1):
            job = make_job(member=member)
            train(job, State.fresh(job.spec, job.optimizer, seed), rates(job), np.empty(EPOCHS), NO_LIMIT)
            ends.add(job.params.tobytes())
    assert len(ends) == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_bad_data_stops_before_its_batch(name, bad):
    job, expected = make_job(shuffle=False), make_job(shuffle=False)
    getattr(job, name)[6] = bad  # in the second batch
    status, state, losses = run(job)
    _, expected_state, expected_losses = run(expected, max_steps=1)
    assert status is Status.BAD_DATA
    assert_same_bits(job, state, losses, expected, expected_state, expected_losses)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_divergence_stops_before_its_update(dtype):
    rule = SGD(float(np.finfo(dtype).max) ** 0.75)
    job, expected = make_job(rule, dtype=dtype), make_job(rule, dtype=dtype)
    status, state, losses = run(job)
    _, expected_state, expected_losses = run(expected, max_steps=1)
    assert status is Status.DIVERGED
    assert np.isfinite(job.params).all()
    assert_same_bits(job, state, losses, expected, expected_state, expected_losses)


def test_samples_without_weight_teach_nothing():
    job = make_job(sample_weight=np.zeros(11))
    before = job.params.copy()
    status, _, losses = run(job)
    assert status is Status.DONE
    np.testing.assert_array_equal(job.params, before)
    np.testing.assert_array_equal(losses, 0)
