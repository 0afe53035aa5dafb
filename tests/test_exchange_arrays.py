"""Networks from plain arrays: exactly what was given, or one sentence."""

import numpy as np
import pytest
from exchange_cases import net

import fastnn
from fastnn.settings.catalogue import ACTIVATIONS

W, B = np.arange(6.0).reshape(2, 3), np.ones(3)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_network_from_its_own_arrays_is_the_same(name, dtype, bias):
    made = net(name, dtype, bias)
    again = fastnn.from_arrays(made.weights, made.biases or None, list(made.spec.activations))
    assert again.spec == made.spec
    assert again.params.tobytes() == made.params.tobytes()
    flipped = fastnn.from_arrays(
        [w.T for w in made.weights], made.biases or None, list(made.spec.activations), layout="out_in"
    )
    assert flipped.params.tobytes() == made.params.tobytes()


def of(weights, **settings):
    return fastnn.from_arrays([weights], None, ["identity"], **settings)


@pytest.mark.parametrize("dtype", [">f8", ">f4", "<f2", ">f2", "i4", "u1", ">i8"])
def test_numbers_of_other_types_are_converted_exactly(dtype):
    values = np.array([[1.5, -2.25, 0.1]]).astype(dtype) if dtype[-1] != "1" else np.array([[1, 2, 3]], dtype)
    made = of(values)
    assert made.spec.dtype == ("float32" if dtype[1:] in ("f4", "f2") else "float64")
    assert (made.weights[0] == values).all()


def test_bfloat16_is_converted_exactly():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([[1.5, 3e38, 1e-40]], ml_dtypes.bfloat16)
    assert (of(values).weights[0] == values.astype(np.float64)).all()


@pytest.mark.parametrize("names", [["value", "b"], ["numpy", "cpu"], ["a", "detach"]])
def test_a_table_is_an_array_whatever_its_columns_are_called(names):
    pandas = pytest.importorskip("pandas")
    made = fastnn.from_arrays([pandas.DataFrame(W.T, columns=names)], [pandas.Series([1.0, 2.0])], ["tanh"])
    np.testing.assert_array_equal(made.weights[0], W.T)
    np.testing.assert_array_equal(made.biases[0], [1, 2])


def test_lists_nan_and_infinity_are_kept():
    made = of([[1, float("nan"), float("-inf")]])
    assert made.spec.dtype == "float64"
    np.testing.assert_array_equal(made.weights[0], [[1, np.nan, -np.inf]])


def test_where_some_layers_have_no_biases_they_are_zero():
    made = fastnn.from_arrays([W, W.T], [None, [1.0, 2.0]], ["relu", "identity"])
    np.testing.assert_array_equal(made.biases[0], 0)
    np.testing.assert_array_equal(made.biases[1], [1, 2])


def test_a_thousand_layers():
    made = fastnn.from_arrays([np.eye(2)] * 1000, None, ["relu"] * 999 + ["identity"])
    np.testing.assert_array_equal(made.predict([[1.0, 2.0]]), [[1, 2]])


def test_an_activation_of_the_users_own():
    def value(z):
        return z if z > 0 else 0.2 * z

    def derivative(z):
        return 1.0 if z > 0 else 0.2

    leaky = fastnn.Activation(value, derivative, name="leaky_by_a_fifth")
    made = fastnn.from_arrays([W, W.T], [B, None], [leaky, "identity"])
    x = np.array([[1.0, -2.0]])
    z = x @ W + B
    np.testing.assert_allclose(made.predict(x), np.where(z > 0, z, 0.2 * z) @ W.T, rtol=1e-12)
    state = {"0.weight": W.T, "2.weight": W}
    assert fastnn.from_torch(state, [leaky, leaky]).spec.activations == (leaky.name,) * 2
    assert fastnn.from_keras([W, W.T], [leaky, leaky]).spec.activations == (leaky.name,) * 2


REFUSED = {
    "weights must be a list": lambda: fastnn.from_arrays(W, None, ["tanh"]),
    "weights must have one for each layer; got none": lambda: fastnn.from_arrays([], None, []),
    "got 2": lambda: fastnn.from_arrays([W], [B, B], ["tanh"]),
    "layer 0 must have 3 biases.*; got 2; layout='out_in' reads such weights": lambda: fastnn.from_arrays(
        [W], [np.ones(2)], ["tanh"]
    ),
    "layer 1 must take the 3 outputs of layer 0": lambda: fastnn.from_arrays([W, W], None, ["tanh"] * 2),
    "activations must be one name for each of 1 layer": lambda: fastnn.from_arrays([W], None, ["tanh"] * 2),
    "activations must be names": lambda: fastnn.from_arrays([W], None, [None]),
    "activation of layer 0 must be the last step": lambda: fastnn.from_arrays([W, W.T], None, ["softmax", "tanh"]),
    "got 'gelu'": lambda: fastnn.from_arrays([W], None, ["gelu"]),
    "layout must be one of in_out, out_in": lambda: of(W, layout="C"),
    "dtype must be float32 or float64": lambda: of(W, dtype="int8"),
    "weights of layer 0 must fit into float32": lambda: of([[1e300]], dtype="float32"),
    r"weights\[0\] must have 2 dimensions": lambda: of(B),
    "none of length 0": lambda: of(np.ones((0, 3))),
    r"dtype complex128": lambda: of(W + 1j),
    "got integers that it would round": lambda: of(np.array([[2**63 - 1]])),
    "float64 represents; got integers that it would round": lambda: of(np.array([[2**53 + 1]])),
    "must be an array of real numbers": lambda: of(np.ma.masked_array(W, W > 2)),
    "weights.0. must be an array of real": lambda: of([np.ma.masked_array(row, row > 2) for row in W]),
    "real numbers; got .*masked": lambda: of([[1.0, np.ma.masked]]),
    "real numbers; got": lambda: of("weights"),
    "ragged|real numbers": lambda: of([[1, 2], [3]]),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused_in_one_sentence(sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        REFUSED[sentence]()
    assert "\n" not in str(caught.value)
