"""The counter-based generator: published and pinned values, uniformity, independence of streams."""

import numpy as np
import pytest

from fastnn.reference.random import GOLDEN, MASK, bits, key, mix, permutation

# The first outputs of Vigna's reference implementation (https://prng.di.unimi.it/splitmix64.c) from the state 1234567.
SPLITMIX64 = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_mix_is_splitmix64():
    assert [mix(1234567 + GOLDEN * n & MASK) for n in range(1, 6)] == SPLITMIX64


def test_bits_are_the_upper_half_of_splitmix64():
    assert [bits(1234567, i) for i in range(5)] == [value >> 32 for value in SPLITMIX64]


def test_an_array_of_counters_gives_what_each_gives_alone():
    i = np.arange(100, dtype=np.uint64)
    before = i.copy()
    together = bits(MASK, i)
    assert together.dtype == np.uint64
    assert together.tolist() == [bits(MASK, int(alone)) for alone in i]
    np.testing.assert_array_equal(i, before)


PINNED_KEYS = {
    (0,): 0xE220A8397B1DCDAF,
    (0, 0, 0): 0x238275BC38FCBE91,
    (2**63 - 1, 1023, 1499): 0xE47C1362EDFBBBEF,
}


@pytest.mark.parametrize("arguments", PINNED_KEYS)
def test_key_is_pinned(arguments):
    assert key(*arguments) == PINNED_KEYS[arguments]


def test_keys_differ():
    keys = {key(seed, member, epoch) for seed in range(10) for member in range(30) for epoch in range(30)}
    assert len(keys) == 10 * 30 * 30


PINNED_PERMUTATIONS = {
    (0, 0, 0): [5, 9, 3, 6, 1, 7, 8, 4, 2, 0],
    (0, 0, 1): [6, 9, 5, 7, 3, 2, 1, 8, 0, 4],
    (0, 1, 0): [9, 1, 5, 2, 4, 3, 7, 6, 0, 8],
    (7, 3, 11): [0, 7, 3, 6, 1, 9, 5, 2, 8, 4],
}


@pytest.mark.parametrize("arguments", PINNED_PERMUTATIONS)
def test_permutation_is_pinned(arguments):
    assert permutation(key(*arguments), 10).tolist() == PINNED_PERMUTATIONS[arguments]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 1000])
def test_permutation_is_a_permutation(n):
    order = permutation(key(5, n), n)
    assert order.dtype == np.intp
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_permutations_are_uniform():
    """All 24 orders of four things, over consecutive epochs: chi-square with 23 degrees of freedom."""
    draws = 12_000
    orders = np.array([permutation(key(1, 0, epoch), 4) for epoch in range(draws)])
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 24
    expected = draws / 24
    assert ((counts - expected) ** 2 / expected).sum() < 49.7  # exceeded with probability 0.001


def test_every_place_is_uniform():
    """Where each of 50 things lands, over consecutive members: no cell of the table strays by five deviations."""
    n, draws = 50, 4000
    counts = np.zeros((n, n))
    for member in range(draws):
        counts[np.arange(n), permutation(key(2, member, 0), n)] += 1
    expected = draws / n
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
