"""From Keras, on the backend of PyTorch; skipped where Keras is not installed."""

import os
from functools import partial

import numpy as np
import pytest
from exchange_cases import difference, samples

import fastnn

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # of Keras itself, on PyTorch


class Imported:
    """A module that is imported when it is first used: Keras takes ten seconds, of which collecting needs none."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        if attribute.startswith("_"):  # pytest asks for some of these as it collects
            raise AttributeError(attribute)
        os.environ.setdefault("KERAS_BACKEND", "torch")
        pytest.importorskip("torch")
        return getattr(pytest.importorskip(self.name), attribute)


keras, layers, activations = Imported("keras"), Imported("keras.layers"), Imported("keras.activations")


@pytest.fixture(autouse=True)
def seeded():
    """The same weights every time: Keras' own outputs, which round more than ours, are then the same too."""
    keras.utils.set_random_seed(0)


def check(*parts, n_in=4, dtype="float32"):
    model = keras.Sequential([keras.Input((n_in,), dtype=dtype), *parts])
    rng = np.random.default_rng(0)
    for weight in model.weights:  # statistics and biases that are not what they are at first
        if len(weight.shape) == 1:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    made = fastnn.from_keras(model)
    assert made.spec.dtype == dtype
    X = samples(made)
    assert difference(made, X, keras.ops.convert_to_numpy(model(X, training=False))) < 8


NAMES = ["linear", "sigmoid", "tanh", "relu", "elu", "selu", "silu", "softplus", "softmax", "exponential"]


@pytest.mark.parametrize("name", NAMES)
def test_activations_by_name(name):
    check(layers.Dense(5, activation="tanh"), layers.Dense(3, activation=name))


def adapted(layer, shape=(100, 4)):
    layer.adapt(np.random.default_rng(0).normal(2, 3, shape))
    return layer


READ = {
    "leaky relu, a function": lambda: [
        layers.Dense(3, activation=partial(activations.leaky_relu, negative_slope=0.01))
    ],
    "leaky relu, a layer": lambda: [layers.Dense(3), layers.LeakyReLU(negative_slope=0.01)],
    "gelu": lambda: [layers.Dense(3, activation=partial(activations.gelu, approximate=True))],
    "layers of activations": lambda: [
        layers.Dense(3),
        layers.ReLU(),
        layers.Dense(3),
        layers.ELU(),
        layers.Dense(2),
        layers.Softmax(),
    ],
    "an activation layer": lambda: [layers.Dense(3), layers.Activation("tanh")],
    "without biases": lambda: [layers.Dense(3, use_bias=False), layers.Dense(2, use_bias=False)],
    "batch normalisation": lambda: [
        layers.BatchNormalization(),
        layers.Dense(3),
        layers.BatchNormalization(),
        layers.ReLU(),
    ],
    "normalisation": lambda: [adapted(layers.Normalization()), layers.Dense(3, activation="tanh")],
    "rescaling": lambda: [layers.Rescaling(1 / 255, offset=-0.5), layers.Dense(3)],
    "rescaling by rows": lambda: [
        layers.Rescaling([[1.0, 2.0, 3.0, 4.0]], offset=[[4.0, 3.0, 2.0, 1.0]]),
        layers.Dense(3),
    ],
    "idle layers": lambda: [layers.Flatten(), layers.Dropout(0.5), layers.Dense(3), layers.GaussianNoise(1.0)],
    "nested": lambda: [keras.Sequential([layers.Dense(3, activation="relu")]), layers.Dense(2)],
}


@pytest.mark.parametrize("what", READ)
def test_what_is_read(what):
    check(*READ[what]())


def test_samples_of_several_dimensions_are_flattened_before_the_first_layer():
    norm = adapted(layers.Normalization(axis=(1, 2)), (100, 2, 3))
    model = keras.Sequential([keras.Input((2, 3)), norm, layers.Flatten(), layers.Dense(3), layers.Flatten()])
    made = fastnn.from_keras(model)
    X = samples(made)
    assert difference(made, X, keras.ops.convert_to_numpy(model(X.reshape(-1, 2, 3)))) < 8


def test_a_functional_chain_and_a_list_of_weights():
    x = keras.Input((4,))
    model = keras.Model(x, layers.Dense(2)(layers.Dense(3, activation="relu")(x)))
    made = fastnn.from_keras(model)
    listed = fastnn.from_keras(model.get_weights(), ["relu", "identity"])
    assert listed.params.tobytes() == made.params.tobytes()
    X = samples(made)
    assert difference(made, X, keras.ops.convert_to_numpy(model(X))) < 8


def functional(build):
    def convert():
        x = keras.Input((3,))
        return fastnn.from_keras(keras.Model(x, build(x)))

    return convert


def twice(x):
    layer = layers.Dense(3)
    return layer(layer(x))


def sequential(parts, shape=(3,)):
    return lambda: fastnn.from_keras(keras.Sequential([keras.Input(shape), *parts()]))


def relu(z):
    return z


def of_two(together):
    x, y = keras.Input((3,), name="x"), keras.Input((3,), name="y")
    return lambda: fastnn.from_keras(keras.Model(together(x=x, y=y), layers.Dense(2)(layers.Add()([x, y]))))


def quantised():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.layers[0].quantize("int8")
    return model


def patched():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    model.layers[0].call = lambda x: x[:, :2]
    return model


REFUSED = {
    r"\(LeakyReLU\) must have slope 0.01.*; got 0.3": sequential(lambda: [layers.Dense(3), layers.LeakyReLU()]),
    r"\(Dense\) must have slope 0.01.*; got 0.2": sequential(lambda: [layers.Dense(3, activation="leaky_relu")]),
    r"approximate tanh \(fastnn does not have the exact GELU\).*; got False": sequential(
        lambda: [layers.Dense(3, activation="gelu")]
    ),
    r"\(ReLU\) must have max_value None.*; got 6": sequential(lambda: [layers.Dense(3), layers.ReLU(max_value=6)]),
    r"must be one that fastnn has; got 'relu6'": sequential(lambda: [layers.Dense(3, activation="relu6")]),
    r"must be one that fastnn has; got 'relu'": sequential(lambda: [layers.Dense(3, activation=relu)]),
    r"\(LayerNormalization\) cannot be part": sequential(lambda: [layers.LayerNormalization(), layers.Dense(3)]),
    r"\(Add\) cannot be part": functional(lambda x: layers.Add()([layers.Dense(3)(x), x])),
    r"layer 'tanh' \(Tanh\) cannot be part": functional(lambda x: keras.ops.tanh(layers.Dense(3, name="d")(x))),
    r"\(Dense\) must not be quantised; it is, to int8": lambda: fastnn.from_keras(quantised()),
    r"\(Sequential\) must be built": lambda: fastnn.from_keras(keras.Sequential([layers.Dense(3)])),
    r"\(Flatten\) must come where values have 2 dimensions.*; got 3": sequential(
        lambda: [layers.Dense(2), layers.Flatten(), layers.Softmax()], (2, 3)
    ),
    r"\(Softmax\) must have axis the last.*; got -2": sequential(lambda: [layers.Dense(2), layers.Softmax(1)], (2, 3)),
    r"\(BatchNormalization\) must normalise the last axis; got axis 1": sequential(
        lambda: [layers.BatchNormalization(axis=1), layers.Dense(2)], (3, 3)
    ),
    r"\(Normalization\) must have a number for each feature, or one; got shape \(1, 3, 1\)": sequential(
        lambda: [adapted(layers.Normalization(axis=1), (100, 3, 3)), layers.Dense(2)], (3, 3)
    ),
    r"\(Rescaling\) must have a number for each feature, or one; got shape \(3, 1\)": sequential(
        lambda: [layers.Rescaling([[1.0], [2.0], [3.0]]), layers.Dense(2)], (3, 3)
    ),
    r"\(Dense\) must have no call of its own": lambda: fastnn.from_keras(patched()),
    r"weights\[0\] must be an array of real numbers; got \[\[1, 2\], \[3\]\]": lambda: fastnn.from_keras(
        [[[1, 2], [3]]], ["tanh"]
    ),
    r"must use every layer once": functional(twice),
    r"\(Dropout\) must not be called with training=True": functional(
        lambda x: layers.Dense(3)(layers.Dropout(0.5)(x, training=True))
    ),
    r"\(Sequential\) must not be called with training=True": functional(
        lambda x: keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.BatchNormalization()])(x, training=True)
    ),
    r"must have one input and one output; got 1 and 2": functional(lambda x: [layers.Dense(3)(x), layers.Dense(2)(x)]),
    r"must have one input and one output; got 2 and 1": of_two(lambda x, y: [x, y]),
    r"\(Functional\) must have one input and one output; got 2 and 1": of_two(dict),
    r"a Keras model or the list of its weights; got 'model.keras'": lambda: fastnn.from_keras("model.keras"),
    r"activations must be given": lambda: fastnn.from_keras([np.ones((2, 3))]),
    r"weights\[0\] must be a kernel": lambda: fastnn.from_keras([np.ones(3)], ["tanh"]),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused_in_one_sentence(sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        REFUSED[sentence]()
    assert "\n" not in str(caught.value)
