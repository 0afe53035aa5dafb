"""The specialised path against the reference: some forty jobs, for each takes seconds to compile.

Every activation, loss and rule meets every setting of the others; activations, losses and rules, which no line of the
kernel joins, meet each other by chance.
"""

from itertools import combinations

import numpy as np
import pytest

from fastnn import MLP
from fastnn.kernels.dispatch import lanes_for
from fastnn.kernels.lanes.samples import run
from fastnn.settings import catalogue, optimizers

HIDDEN = [row.name for row in catalogue.ACTIVATIONS.values() if row.hidden]
RULES = [
    optimizers.SGD(0.05),
    optimizers.SGD(0.05, momentum=0.9),
    optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    *(getattr(optimizers, name)(0.01) for name in catalogue.OPTIMIZERS if name != "SGD"),
]
FACTORS = {
    "activation": HIDDEN,
    "loss": list(catalogue.LOSSES),
    "optimizer": RULES,
    "sizes": [(3, 4), (1, 1), (2, 7), (3, 2, 3)],
    "n_out": [1, 2, 3],
    "batch_size": [1, 3, 8, 17, 133],  # the last, in vectors, more than one block
    "dtype": ["float64", "float32"],
    "bias": [True, False],
    "l2": [0.0, 0.1],
    "max_grad_norm": [None, 0.2],
    "weighted": [False, True],
}
MORE_ROWS = 7  # than a batch has
MOST = 40  # pairs of settings of two factors that are worth as many jobs


def pairs(choice):
    """Every two settings of a job, as places in the lists of `FACTORS`."""
    return set(combinations(enumerate(choice), 2))


def filled(fixed, lengths, wanted, rng):
    """A job with two settings fixed; of the others, in any order, each is the one that adds most pairs."""
    job = rng.integers(lengths).tolist()
    for place in fixed:
        job[place] = fixed[place]

    def gain(place, value):
        return len(pairs([*job[:place], value, *job[place + 1 :]]) & wanted)

    for place in rng.permutation(len(lengths)).tolist():
        if place not in fixed:
            job[place] = max(range(lengths[place]), key=lambda value, place=place: gain(place, value))
    return job


def pairwise():
    """Jobs, as places in the lists, that together hold the pairs: each adds as many as a few tries find."""
    rng, lengths = np.random.default_rng(0), [len(values) for values in FACTORS.values()]
    wanted = set()
    for one, other in combinations(range(len(lengths)), 2):
        if lengths[one] * lengths[other] > MOST:
            continue
        wanted |= {((one, i), (other, j)) for i in range(lengths[one]) for j in range(lengths[other])}
    chosen = []
    while wanted:
        tries = [filled(dict(min(wanted)), lengths, wanted, rng) for _ in range(4)]
        best = max(tries, key=lambda job: len(pairs(job) & wanted))
        wanted -= pairs(best)
        chosen.append(best)
    return chosen


def settings(choice):
    return {name: values[place] for (name, values), place in zip(FACTORS.items(), choice, strict=True)}


def name(choice):
    job = settings(choice)
    return f"{job['activation']}, {job['loss']}, {type(job['optimizer']).__name__}, {job['sizes']}, {job['dtype']}"


JOBS = pairwise()


def test_the_jobs_are_few_and_leave_no_setting_out():
    assert len(JOBS) < 50
    assert all({choice[k] for choice in JOBS} == set(range(len(values))) for k, values in enumerate(FACTORS.values()))


@pytest.mark.slow
@pytest.mark.parametrize("choice", JOBS, ids=name)
def test_both_paths_agree(choice):
    job = settings(choice)
    row, rng = catalogue.LOSSES[job["loss"]], np.random.default_rng(0)
    rows = job["batch_size"] + MORE_ROWS
    n_out = max(2, job["n_out"]) if row.labels else job["n_out"]
    X, y = rng.normal(size=(rows, job["sizes"][0])), rng.random((rows, n_out))
    if row.labels:
        y /= y.sum(axis=1, keepdims=True)
    net = MLP(
        (*job["sizes"], row.outputs_per_target * n_out),
        activation=job["activation"],
        output_activation=row.logits_of or "identity",
        bias=job["bias"],
        dtype=job["dtype"],
        rng=0,
    )
    other = net.copy()
    rule = job["optimizer"]
    whole = catalogue.OPTIMIZERS[type(rule).__name__].whole_batch
    options = {
        "loss": job["loss"],
        "optimizer": rule,
        "batch_size": None if whole else job["batch_size"],
        "l2": job["l2"],
        "max_grad_norm": job["max_grad_norm"],
        "sample_weight": rng.random(rows) + 0.1 if job["weighted"] else None,
        "delta": 0.5,
        "epochs": 3,
        "rng": 0,
    }
    history = net.fit(X, y, specialize=True, **options)
    expected = other.fit(X, y, backend="numpy", **options)
    tolerance = 1e-10 if job["dtype"] == "float64" else 2e-4
    np.testing.assert_allclose(net.params, other.params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=tolerance)


def test_long_batches_of_any_length_share_a_kernel():
    net = MLP((3, 4, 2), output_activation="softmax", rng=0)
    rng, labels, compiled = np.random.default_rng(0), net.spec.n_out, len(run.signatures)
    for size in (9 * lanes_for(200, "float64"), 200, 347):
        X, y = rng.normal(size=(size + 25, 3)), rng.integers(labels, size=size + 25)
        options = {"loss": "cross_entropy", "batch_size": size, "epochs": 3, "rng": 0, "optimizer": optimizers.Adam()}
        one, other = net.copy(), net.copy()
        one.fit(X, y, specialize=True, **options)
        other.fit(X, y, backend="numpy", **options)
        np.testing.assert_allclose(one.params, other.params, rtol=1e-10)
    assert len(run.signatures) == compiled + 1
