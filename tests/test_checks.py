"""Bad input: refused in one sentence that names the argument, what was expected and what came; the rest just works."""

import dataclasses
import enum
import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse

import fastnn
from fastnn import MLP, SGD, Adam, AdamW, RMSprop, Rprop, VelocitySGD
from fastnn.checks import all_finite, check_optimizer
from fastnn.settings import schedules
from fastnn.settings.schedules import ReduceOnPlateau

X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
Y = np.array([[0.0], [1], [1], [0]])
LABELS = np.array([0, 1, 2, 1])
ONE_HOT = np.eye(3)[LABELS]


def net(output="identity", sizes=(3, 4, 1), dtype="float64"):
    return MLP(sizes, output_activation=output, dtype=dtype, rng=0)


def classifier(dtype="float64"):
    return net("softmax", (3, 4, 3), dtype)


def changed(array, place, value):
    """A copy with one other value."""
    array = np.array(array, dtype=float)
    array[place] = value
    return array


# ---------------------------------------------------------------- describing a network
HIDDEN = ", ".join(name for name, row in fastnn.catalogue.ACTIVATIONS.items() if row.hidden)

BAD_NETWORKS = [
    ({"sizes": 3}, TypeError, r"sizes must be two or more integers.*got 3"),
    ({"sizes": "341"}, TypeError, r"sizes must be two or more integers.*got '341'"),
    ({"sizes": (10**9, 10**9)}, ValueError, r"the parameters of all sizes must be at most .*do not fit into"),
    ({"sizes": (3,)}, ValueError, r"sizes must be two or more integers.*got \(3,\)"),
    ({"sizes": (3, 0, 1)}, ValueError, r"every one of sizes must be an integer of at least 1; got 0"),
    ({"sizes": (3, -4, 1)}, ValueError, r"sizes must be an integer of at least 1; got -4"),
    ({"sizes": (3, 4.0, 1)}, TypeError, r"sizes must be an integer of at least 1; got 4\.0"),
    ({"sizes": (3, True)}, TypeError, r"sizes must be an integer of at least 1; got True"),
    ({"activation": "sigmoyd"}, ValueError, r"activation must be one of identity.*got 'sigmoyd'; .*mean 'sigmoid'"),
    ({"activation": "softmax"}, ValueError, r"activation must be one for hidden layers; got 'softmax'"),
    ({"activation": ["tanh", "exp"], "sizes": (3, 4, 4, 1)}, ValueError, r"activation must be .*hidden.*; got 'exp'"),
    ({"activation": ["tanh", "relu"]}, ValueError, r"one for each of 1 hidden layer; got 2 names"),
    ({"activation": None}, TypeError, r"activation must be a name, or one for each of 1 hidden layer; got None"),
    ({"activation": "step"}, ValueError, f"activation must be one of {HIDDEN}; got 'step'$"),
    ({"activation": "gelu"}, ValueError, "activation must be one of .*; got 'gelu'; did you mean 'gelu_tanh'"),
    ({"output_activation": "linear"}, ValueError, "must be one of .*; got 'linear'; did you mean 'identity'"),
    ({"activation": [3]}, TypeError, r"activation must be one of .*; got 3"),
    ({"output_activation": "Softmax"}, ValueError, r"output_activation must be .*'Softmax'; did you mean 'softmax'"),
    ({"bias": "yes"}, TypeError, r"bias must be True or False; got 'yes'"),
    ({"bias": 1}, TypeError, r"bias must be True or False; got 1"),
    ({"dtype": "float16"}, ValueError, r"dtype must be float32 or float64; got 'float16'"),
    ({"dtype": "flaot"}, ValueError, r"dtype must be float32 or float64; got 'flaot'"),
    ({"dtype": None}, ValueError, r"dtype must be float32 or float64; got None"),
    ({"init": "glorot"}, ValueError, r"init must be one of unit_uniform.*got 'glorot'; did you mean 'glorot_"),
    ({"rng": -1}, ValueError, r"rng must be something that numpy\.random\.default_rng takes.*got -1"),
    ({"rng": "seed"}, TypeError, r"rng must be something that numpy\.random\.default_rng takes.*got 'seed'"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD_NETWORKS, ids=lambda value: repr(value)[:40])
def test_bad_networks(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        MLP(**{"sizes": (3, 4, 1)} | arguments)
    assert "\n" not in str(caught.value)


class Name(str, enum.Enum):  # noqa: UP042 - in texts an enum.StrEnum is its value already
    TANH = "tanh"


@pytest.mark.parametrize("name", [np.str_("tanh"), Name.TANH])
def test_a_name_of_any_kind_of_text_is_a_plain_one(name, tmp_path):
    plain, odd = (MLP((3, 4, 1), activation=one, output_activation=one, rng=0) for one in ("tanh", name))
    assert repr(odd.spec) == repr(plain.spec)
    assert str(odd) == str(plain)
    plain.to_fortran(tmp_path / "plain.f90")
    odd.to_fortran(tmp_path / "odd.f90")  # which had the enumeration's name for a function's
    assert (tmp_path / "odd.f90").read_text().replace("odd", "plain") == (tmp_path / "plain.f90").read_text()


def test_good_networks():
    spec = MLP([np.int64(3), 4, 1], activation=("relu",), dtype=np.float32, bias=np.True_).spec
    assert spec == fastnn.NetworkSpec((3, 4, 1), ("relu", "identity"), True, "float32")
    assert all(type(size) is int for size in spec.sizes)
    assert MLP((2, 3), dtype=">f8").params.dtype.isnative
    assert MLP((2, 3), activation=()).spec.activations == ("identity",)
    rng = np.random.default_rng(0)
    assert np.array_equal(MLP((2, 3), rng=rng).params, MLP((2, 3), rng=0).params)


# ---------------------------------------------------------------- arrays
class Nameless:
    def __repr__(self):
        raise RuntimeError("no")


class Foreign:
    """An array of another library that does not want to become NumPy's, as a tensor that requires gradients."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("detach it first")


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise ValueError("no")


BAD_X = [
    (X[0], ValueError, r"X must have shape \(n, 3\); got \(3,\); for one sample x, pass \[x\]"),
    (X.T, ValueError, r"X must have shape \(n, 3\); got \(3, 4\); samples are rows: pass X\.T"),
    (X[:, :2], ValueError, r"X must have shape \(n, 3\); got \(4, 2\)"),
    (X[None], ValueError, r"X must have shape \(n, 3\); got \(1, 4, 3\)"),
    (1.0, ValueError, r"X must have shape \(n, 3\); got \(\)"),
    ([[1, 2, 3], [4, 5]], ValueError, r"X must be an array of real numbers of shape \(n, 3\); got a ragged list"),
    (
        X.astype(object),
        TypeError,
        r"X must be an array of real numbers.*got an array of shape \(4, 3\) and dtype object",
    ),
    (X + 1j, TypeError, r"X must be an array of real numbers.*got .*dtype complex128"),
    (X.astype(str), TypeError, r"X must be an array of real numbers.*got .*dtype <U"),
    (X.astype("M8[s]"), TypeError, r"X must be an array of real numbers.*got .*dtype datetime64"),
    (None, TypeError, r"X must be an array of real numbers of shape \(n, 3\); got None"),
    ("X", TypeError, r"X must be an array of real numbers of shape \(n, 3\); got 'X'"),
    (Unreadable(), ValueError, r"X must be an array of real numbers.*got a ragged Unreadable"),
    (scipy.sparse.csr_array(X), TypeError, r"X must be an array of real numbers.*got the sparse .*toarray\(\)"),
    (np.ma.masked_less(X, 1), ValueError, r"X must be an array of real numbers.*got a masked array"),
]


@pytest.mark.parametrize(("value", "error", "message"), BAD_X, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("act", ["fit", "predict", "loss_and_grad"])
def test_bad_samples(act, value, error, message):
    arguments = () if act == "predict" else (Y,)
    settings = {"epochs": 1} if act == "fit" else {}
    with pytest.raises(error, match=message):
        getattr(net(), act)(value, *arguments, **settings, backend="numpy")


@pytest.mark.parametrize("act", ["fit", "loss_and_grad"])
def test_no_rows_are_refused(act, backend):
    with pytest.raises(ValueError, match=r"X must have at least 1 row; got shape \(0, 3\)"):
        getattr(net(), act)(X[:0], Y[:0], **({"epochs": 1} if act == "fit" else {}), backend=backend)


def test_predicting_no_rows_gives_none(backend):
    assert net().predict(X[:0], backend=backend).shape == (0, 1)


BAD_Y = [
    ("mse", Y[:3], ValueError, r"y must have shape \(4, 1\), a row for each of X; got \(3, 1\)"),
    ("mse", Y[:3, 0], ValueError, r"y must have as many rows as X, 4; got 3"),
    ("mse", np.ones((4, 2)), ValueError, r"y must have shape \(4, 1\), a row for each of X; got \(4, 2\)"),
    ("mse", Y[None], ValueError, r"y must have shape \(n, 1\), or \(n,\); got \(1, 4, 1\)"),
    ("mse", None, TypeError, r"y must be an array of real numbers of shape \(n, 1\), or \(n,\); got None"),
    ("mse", ["a", "b", "a", "b"], TypeError, r"y must be an array of real numbers.*got an array .*dtype <U1"),
    ("poisson", changed(Y, 2, -1), ValueError, r"y must be at least 0 for poisson; got -1\.0 in row 2, column 0"),
    ("binary_cross_entropy", 2 * Y, ValueError, r"y must be from 0 to 1 for binary_cross_entropy; got 2\.0 in row 1"),
    (
        "binary_cross_entropy",
        2 * Y - 1,
        ValueError,
        r"y must be from 0 to 1 for binary_cross_entropy; got -1\.0 in row 0",
    ),
    (
        "cross_entropy",
        LABELS + 1,
        ValueError,
        r"y must hold class labels, .* from 0 to 2 for 3 outputs; got 3 in row 2",
    ),
    (
        "cross_entropy",
        LABELS - 1,
        ValueError,
        r"y must hold class labels, .* from 0 to 2 for 3 outputs; got -1 in row 0",
    ),
    (
        "cross_entropy",
        LABELS.astype(np.uint64) + 2**63,
        ValueError,
        r"class labels.*; got 9223372036854775808 in row 0",
    ),
    (
        "cross_entropy",
        LABELS + 0.5,
        ValueError,
        r"y must hold class labels, .* from 0 to 2 for 3 outputs; got 0\.5 in row 0",
    ),
    ("cross_entropy", changed(LABELS, 1, np.nan), ValueError, r"y must hold class labels.*; got nan in row 1"),
    (
        "cross_entropy",
        ["cat", "dog", "cow", "dog"],
        TypeError,
        r"y must be an array of real numbers.*class labels; got .*<U3; np\.unique\(y, return_inverse=True\)\[1\] turns",
    ),
    ("cross_entropy", LABELS[:3], ValueError, r"y must have as many rows as X, 4; got 3"),
    ("cross_entropy", LABELS[:, None], ValueError, r"y must have shape \(4, 3\).*, or \(4,\) for class labels; got"),
    ("cross_entropy", 0 * ONE_HOT, ValueError, r"y must hold class labels or rows that sum to 1.*got a sum of 0\.0"),
    ("cross_entropy", -ONE_HOT, ValueError, r"y must be from 0 to 1 for cross_entropy; got -1\.0 in row 0, column 0"),
]
OUTPUT_OF = {"poisson": "exp", "binary_cross_entropy": "sigmoid"}


@pytest.mark.parametrize("act", ["fit", "loss_and_grad"])
@pytest.mark.parametrize(("loss", "y", "error", "message"), BAD_Y, ids=lambda value: repr(value)[:30])
def test_bad_targets(act, loss, y, error, message):
    one = classifier() if loss == "cross_entropy" else net(OUTPUT_OF.get(loss, "identity"))
    with pytest.raises(error, match=message):
        getattr(one, act)(X, y, loss=loss, **({"epochs": 1} if act == "fit" else {}), backend="numpy")


def test_one_dimension_of_targets_needs_one_output():
    with pytest.raises(ValueError, match=r"y must have shape \(n, 3\); got \(4,\)$"):
        net(sizes=(3, 4, 3)).fit(X, Y[:, 0], epochs=1)
    with pytest.raises(ValueError, match=r"got \(4,\); class labels need output_activation='softmax' and"):
        net(sizes=(3, 4, 3)).fit(X, LABELS, epochs=1)


def test_one_dimension_of_samples_is_told_how_to_be_a_column():
    with pytest.raises(ValueError, match=r"X must have shape \(n, 1\); got \(4,\); for one feature, pass X\[:, None\]"):
        net(sizes=(1, 4, 1)).predict(X[:, 0])


BAD_WEIGHTS = [
    ([1, 1, 1], ValueError, r"sample_weight must have shape \(4,\), a weight for each row of X; got \(3,\)"),
    (np.ones((4, 1)), ValueError, r"sample_weight must have shape \(4,\).*; got \(4, 1\)"),
    ([1, 1, -0.5, 1], ValueError, r"sample_weight must be at least 0; got -0\.5 in row 2"),
    (np.zeros(4), ValueError, r"sample_weight must have a sum above 0; got only zeros"),
    (["a"] * 4, TypeError, r"sample_weight must be an array of real numbers.*got"),
]


@pytest.mark.parametrize("act", ["fit", "loss_and_grad"])
@pytest.mark.parametrize(("weights", "error", "message"), BAD_WEIGHTS, ids=lambda value: repr(value)[:30])
def test_bad_sample_weights(act, weights, error, message):
    with pytest.raises(error, match=message):
        getattr(net(), act)(X, Y, sample_weight=weights, **({"epochs": 1} if act == "fit" else {}), backend="numpy")


NOT_FINITE = [
    (changed(X, (2, 1), np.nan), Y, None, r"X must be finite; got nan in row 2, column 1"),
    (changed(X, (0, 2), -np.inf), Y, None, r"X must be finite; got -inf in row 0, column 2"),
    (X, changed(Y, (3, 0), np.inf), None, r"y must be finite; got inf in row 3, column 0"),
    (X, changed(Y[:, 0], 3, np.nan), None, r"y must be finite; got nan in row 3, column 0"),
    (X, Y, [1, np.nan, 1, 1], r"sample_weight must be finite; got nan in row 1"),
    (X, Y, [1, 1, 1, np.inf], r"sample_weight must be finite; got inf in row 3"),
]


@pytest.mark.parametrize(("samples", "targets", "weights", "message"), NOT_FINITE)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("act", ["fit", "loss_and_grad"])
def test_data_that_are_not_finite(act, dtype, samples, targets, weights, message, backend):
    settings = {"epochs": 5, "batch_size": 1, "rng": 0, "specialize": False} if act == "fit" else {}
    one = net(dtype=dtype)
    before = one.params.copy()
    with pytest.raises(ValueError, match=message):
        getattr(one, act)(samples, targets, sample_weight=weights, **settings, backend=backend)
    assert np.array_equal(one.params, before)


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_nan_passes_the_checks_of_the_domain_and_is_found_in_training(output, backend):
    one, loss = (classifier(), "cross_entropy") if output == "softmax" else (net("sigmoid"), "binary_cross_entropy")
    y = changed(ONE_HOT if output == "softmax" else Y, (1, 0), np.nan)
    with pytest.raises(ValueError, match=r"y must be finite; got nan in row 1, column 0"):
        one.fit(X, y, loss=loss, epochs=1, specialize=False, backend=backend)


@pytest.mark.parametrize("act", ["fit", "predict", "loss_and_grad"])
def test_overflow_of_float32_is_refused(act):
    arguments = () if act == "predict" else (Y,)
    settings = {"epochs": 1} if act == "fit" else {}
    with pytest.raises(ValueError, match=r"X must fit into float32, whose largest number is 3\.40.*; got -?1e\+300"):
        getattr(net(dtype="float32"), act)(changed(X, 1, -1e300), *arguments, **settings, backend="numpy")


def test_what_overflows_float32_is_told_not_what_is_infinite():
    with pytest.raises(ValueError, match=r"X must fit into float32, .*; got 1e\+300"):
        net(dtype="float32").predict([[np.inf, 1e300, 0.0]])


def test_infinity_is_no_overflow(backend):
    assert np.isnan(net(dtype="float32").predict(np.full((1, 3), np.nan), backend=backend)).all()
    one = MLP((1, 1), dtype="float32", rng=0)
    assert np.isinf(one.predict([[np.inf], [-np.inf]], backend=backend)).all()
    assert np.isnan(MLP((3, 4, 1), rng=0).predict([[np.inf, np.inf, -np.inf]], backend=backend)).all()
    laplace = fastnn.laplace(net(), X, Y)
    assert np.isnan(laplace.predict([[np.inf, np.inf, -np.inf]])).all()


def misaligned(array):
    raw = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    raw[:] = array
    return raw


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


CONVERSIONS = {
    "Fortran": np.asfortranarray,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "read-only": read_only,
    "strided": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "reversed": lambda array: array[::-1].copy()[::-1],
    "misaligned": misaligned,
    "integer": lambda array: array.astype(np.int8),
    "bool": lambda array: array.astype(bool),
    "float16": lambda array: array.astype(np.float16),
    "longdouble": lambda array: array.astype(np.longdouble),
    "list": lambda array: array.tolist(),
    "matrix": lambda array: array.view(np.matrix) if array.ndim == 2 else array,
    "unmasked": np.ma.masked_array,
}


@pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_any_array_of_numbers_gives_the_same_bits(convert, dtype, backend):
    weights = np.array([1.0, 2, 0, 3])
    if convert is CONVERSIONS["bool"]:
        weights = np.array([1.0, 1, 0, 1])
    runs = []
    for transform in (lambda array: array, convert):
        for one, y, loss in ((net(dtype=dtype), Y, "mse"), (classifier(dtype), ONE_HOT, "cross_entropy")):
            data = transform(X), transform(y)
            keep = [np.array(array) for array in data]
            settings = {"loss": loss, "sample_weight": transform(weights), "backend": backend}
            one.fit(*data, **settings, epochs=3, batch_size=3, rng=0, specialize=False)
            value, gradient = one.loss_and_grad(*data, **settings)
            outputs = one.predict(data[0], backend=backend)
            runs.append((one.params.tobytes(), value, gradient.tobytes(), outputs.tobytes()))
            assert all(np.array_equal(array, before) for array, before in zip(data, keep, strict=True))
    assert runs[:2] == runs[2:]


@pytest.mark.parametrize(
    "convert", [np.asarray, np.uint8, np.float32, read_only, misaligned, list, lambda y: np.repeat(y, 2)[::2]]
)
def test_any_array_of_whole_numbers_is_labels(convert, backend):
    expected, gradient = classifier().loss_and_grad(X, ONE_HOT, "cross_entropy", backend=backend)
    value, other = classifier().loss_and_grad(X, convert(LABELS), "cross_entropy", backend=backend)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(other, gradient, rtol=1e-12, atol=1e-15)


def test_what_is_right_already_is_not_copied():
    from fastnn import checks
    from fastnn.settings import catalogue

    one, weights = net(), np.ones(4)
    assert checks.check_inputs(X, one.spec) is X
    assert checks.check_targets(Y, one.spec, catalogue.LOSSES["mse"], 4) is Y
    assert checks.check_targets(LABELS, classifier().spec, catalogue.LOSSES["cross_entropy"], 4) is LABELS
    assert np.shares_memory(checks.check_targets(Y[:, 0], one.spec, catalogue.LOSSES["mse"], 4), Y)
    assert checks.check_sample_weight(weights, one.spec, 4) is weights


BAD_OUT = [
    ([0.0] * 21, TypeError, r"out must be an array of shape \(21,\) and dtype float64; got \["),
    (np.empty(21, np.float32), TypeError, r"out must be an array .*float64; got .*float32"),
    (np.empty(21, ">f8"), TypeError, r"out must be an array .*float64; got .*>f8"),
    (np.empty(20), ValueError, r"out must have shape \(21,\); got \(20,\)"),
    (np.empty((21, 1)), ValueError, r"out must have shape \(21,\); got \(21, 1\)"),
    (np.empty(42)[::2], ValueError, r"out must be C-contiguous.*got one that is not C-contiguous"),
    (read_only(np.empty(21)), ValueError, r"out must be .*writable; got one that is not writable"),
    (misaligned(np.empty(21)), ValueError, r"out must be .*aligned.*; got one that is not aligned"),
]


@pytest.mark.parametrize(("out", "error", "message"), BAD_OUT)
def test_bad_out(out, error, message):
    with pytest.raises(error, match=message):
        net().loss_and_grad(X, Y, out=out)


def test_out_must_not_be_the_parameters():
    one = net()
    with pytest.raises(ValueError, match="out must be an array of its own; got one that shares the memory of params"):
        one.loss_and_grad(X, Y, out=one.params)


# ---------------------------------------------------------------- settings
BAD_SETTINGS = [
    ({"loss": "rmse"}, ValueError, r"loss must be one of sse, mse.*; got 'rmse'; did you mean 'mse'"),
    ({"loss": None}, TypeError, r"loss must be one of sse, mse.*; got None"),
    ({"epochs": 0}, ValueError, r"epochs must be an integer of at least 1; got 0"),
    ({"epochs": 1.5}, TypeError, r"epochs must be an integer of at least 1; got 1\.5"),
    ({"epochs": True}, TypeError, r"epochs must be an integer of at least 1; got True"),
    ({"epochs": None}, TypeError, r"epochs must be an integer of at least 1; got None"),
    ({"batch_size": 0}, ValueError, r"batch_size must be an integer of at least 1; got 0"),
    ({"batch_size": 2.0}, TypeError, r"batch_size must be an integer of at least 1; got 2\.0"),
    ({"batch_size": np.ones(2, int)}, TypeError, r"batch_size must be an integer.*; got an array of shape \(2,\)"),
    ({"shuffle": "yes"}, TypeError, r"shuffle must be True or False; got 'yes'"),
    ({"l2": -1e-3}, ValueError, r"l2 must be a finite number of at least 0; got -0\.001"),
    ({"l2": np.nan}, ValueError, r"l2 must be a finite number of at least 0; got nan"),
    ({"l2": "0.1"}, TypeError, r"l2 must be a finite number of at least 0; got '0\.1'"),
    ({"l2": np.float32(np.inf)}, ValueError, r"l2 must be a finite number of at least 0; got .*inf"),
    ({"l2": 10**400}, ValueError, r"l2 must be a finite number of at least 0; got 10000"),
    ({"max_grad_norm": 0}, ValueError, r"max_grad_norm must be a finite number above 0; got 0"),
    ({"max_grad_norm": 1j}, TypeError, r"max_grad_norm must be a finite number above 0; got 1j \(complex\)"),
    ({"delta": 0.0}, ValueError, r"delta must be a finite number above 0; got 0\.0"),
    ({"threads": 0}, ValueError, r"threads must be an integer of at least 1; got 0"),
    ({"progress": "bar"}, TypeError, r"progress must be True or False; got 'bar'"),
    ({"specialize": 1}, TypeError, r"specialize must be True or False; got 1"),
    ({"backend": "cuda"}, ValueError, r"backend must be one of numba, plain, numpy; got 'cuda'"),
    ({"backend": ["numba"]}, TypeError, r"backend must be one of numba, plain, numpy; got \['numba'\] \(list\)"),
    ({"rng": "x"}, TypeError, r"rng must be something that numpy\.random\.default_rng takes.*; got 'x'"),
    ({"state": 3}, TypeError, r"state must be the state of a history, history\.state; got 3"),
    (
        {"optimizer": "adam"},
        TypeError,
        r"optimizer must be an instance of fastnn\.SGD.*; got 'adam'; did you mean fastnn\.Adam\(\)\?",
    ),
    ({"optimizer": Adam}, TypeError, r"optimizer must be an instance of .*; got <class .*; call it"),
    ({"optimizer": None}, TypeError, r"optimizer must be an instance of .*; got None"),
    ({"optimizer": [1]}, TypeError, r"optimizer must be an instance of .*; got \[1\] \(list\)"),
    ({"optimizer": SGD(-0.1)}, ValueError, r"learning_rate of SGD must be a finite number of at least 0; got -0\.1"),
    ({"optimizer": Adam(np.nan)}, ValueError, r"learning_rate of Adam must be a finite number of at least 0; got nan"),
    ({"optimizer": Adam(np.inf)}, ValueError, r"learning_rate of Adam must be a finite number of at least 0; got inf"),
    ({"optimizer": Adam("1e-3")}, TypeError, r"learning_rate of Adam must be a finite number.*; got '1e-3'"),
    ({"optimizer": Adam(np.array(0.1))}, TypeError, r"learning_rate of Adam must be .*; got an array of shape \(\)"),
    ({"optimizer": SGD(momentum=1.0)}, ValueError, r"momentum of SGD must be a number in \[0, 1\); got 1\.0"),
    ({"optimizer": SGD(nesterov=True)}, ValueError, r"momentum of SGD must be above 0 with nesterov=True; got 0\.0"),
    ({"optimizer": VelocitySGD(momentum=0.0, nesterov=True)}, ValueError, "momentum of VelocitySGD must be above 0"),
    ({"optimizer": SGD(nesterov=0)}, TypeError, r"nesterov of SGD must be True or False; got 0"),
    ({"optimizer": RMSprop(decay=-0.1)}, ValueError, r"decay of RMSprop must be a number in \[0, 1\); got -0\.1"),
    ({"optimizer": RMSprop(epsilon=0)}, ValueError, r"epsilon of RMSprop must be a finite number above 0; got 0"),
    ({"optimizer": Adam(beta_1=1)}, ValueError, r"beta_1 of Adam must be a number in \[0, 1\); got 1"),
    ({"optimizer": Adam(beta_2=True)}, TypeError, r"beta_2 of Adam must be a number in \[0, 1\); got True"),
    ({"optimizer": AdamW(weight_decay=-1)}, ValueError, r"weight_decay of AdamW must be .*at least 0; got -1"),
    ({"optimizer": Rprop(increase=1)}, ValueError, r"increase of Rprop must be a finite number above 1; got 1"),
    ({"optimizer": Rprop(decrease=0)}, ValueError, r"decrease of Rprop must be a number in \(0, 1\); got 0"),
    ({"optimizer": Rprop(step_min=0)}, ValueError, r"step_min of Rprop must be a finite number above 0; got 0"),
    (
        {"optimizer": Rprop(step_min=9, step_max=1)},
        ValueError,
        r"step_min of Rprop .* at most step_max, 1\.0; got 9\.0",
    ),
    ({"optimizer": Rprop(), "batch_size": 3}, ValueError, r"batch_size must be None, or at least.*Rprop; got 3"),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD_SETTINGS, ids=lambda value: repr(value)[:50])
def test_bad_settings(settings, error, message):
    one = net()
    before = one.params.copy()
    with pytest.raises(error, match=message) as caught:
        one.fit(X, Y, **{"epochs": 1, "backend": "numpy"} | settings)
    assert "\n" not in str(caught.value)
    assert np.array_equal(one.params, before)


@pytest.mark.parametrize("loss", fastnn.settings.catalogue.LOSSES)
def test_pairs_of_loss_and_output(loss):
    row = fastnn.settings.catalogue.LOSSES[loss]
    needs = f", which needs output_activation='{row.logits_of}'" if row.logits_of else ""
    for output in fastnn.settings.catalogue.ACTIVATIONS:
        one, y = net(output, (3, 4, row.outputs_per_target)), np.ones((4, 1))
        if row.goes_with(output):
            one.fit(X, y, loss=loss, epochs=1, backend="numpy")
            continue
        message = f"loss must go with .* output activation '{output}', as .*'{loss}'{needs}$"
        for act, settings in (one.fit, {"epochs": 1}), (one.loss_and_grad, {}):
            with pytest.raises(ValueError, match=message):
                act(X, y, loss=loss, **settings)


def test_numbers_of_any_type_do():
    plain, odd = net(), net()
    settings = {"rng": 0, "backend": "numpy"}
    plain.fit(X, Y, epochs=3, batch_size=3, optimizer=SGD(1.0, 0.5, nesterov=True), l2=0.5, **settings)
    optimizer = SGD(1, np.float32(0.5), nesterov=np.True_)
    odd.fit(X, Y, epochs=np.int8(3), batch_size=np.uint16(3), optimizer=optimizer, l2=np.float16(0.5), **settings)
    assert np.array_equal(plain.params, odd.params)


def test_parameters_that_are_not_finite_are_refused_by_fit():
    one = net()
    one.params[3] = np.nan
    with pytest.raises(ValueError, match="params must be finite; got nan in row 3"):
        one.fit(X, Y, epochs=1)


BAD_PARAMS = [
    (np.ones(20), ValueError, r"params must have shape \(21,\); got \(20,\)"),
    (np.ones((1, 21)), ValueError, r"params must have shape \(21,\); got \(1, 21\)"),
    (np.ones(21, complex), TypeError, r"params must be an array of real numbers of shape \(21,\); got .*complex128"),
    (3.0, ValueError, r"params must have shape \(21,\); got \(\)"),
]


@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMS)
def test_bad_params(params, error, message):
    one = net()
    with pytest.raises(error, match=message):
        one.params = params
    with pytest.raises(error, match=message):
        MLP.from_params(one.spec, params)


BAD_CALLS = [
    (
        lambda: net().fit(X, Y, epochs=1, l2=-(10**5000)),
        ValueError,
        r"l2 must be .*; got a value that has no repr \(int",
    ),
    (lambda: net().predict(Nameless()), TypeError, r"X must be .*; got a value that has no repr \(Nameless\)"),
    (lambda: net().fit(X, Y, epochs=1, loss="m" * 10**5), ValueError, "loss must be one of .*; got 'mmm.{36}...$"),
    (lambda: net().jacobian(X.astype(str), Y, np.empty((4, 1, 3))), TypeError, "x must be an array of real numbers"),
    (lambda: net().jacobian(X[:, :2], Y, np.empty((4, 1, 3))), ValueError, r"x must have shape \(n, 3\)"),
    (lambda: net().with_domain(X).distance(X[:, :2]), ValueError, r"x must have shape \(n, 3\)"),
    (lambda: net().cfunc(["C"]), TypeError, "caller must be one of C, quad"),
    (lambda: members(seed="a"), TypeError, "seed must be an integer of at least 0; got 'a'"),
    (lambda: members(positions=[0, 1, 1]), ValueError, "positions must be integers .* one for each of the 2 members"),
    (lambda: members(records=3), TypeError, "records must be those of an ensemble, many.records; got 3"),
    (lambda: members(records=many(members=3).records), ValueError, "records must be those of 2 members; got 3"),
    (lambda: members()[[[0], [0, 1]]], IndexError, "an index must be a number, a slice, or a list or mask of 2"),
    (lambda: members()[Foreign()], IndexError, "an index must be a number, a slice, or a list or mask of 2 members"),
    (lambda: members().quantile(X, np.longdouble(2)), ValueError, "q must be numbers from 0 to 1"),
    (lambda: fastnn.load("a.npz", np.array(1)), TypeError, "functions must be a sequence of fastnn.Activation; got"),
    (lambda: fastnn.warmup("loud"), TypeError, "report must be callable, or None; got 'loud'"),
    (lambda: net().fit(X, Y, epochs=1, callback=3), TypeError, "callback must be callable, or None; got 3"),
    (lambda: net().fit(X, Y, epochs=1, backend=np.zeros((2, 2))), TypeError, "backend must be one of"),
    (lambda: net().fit(X, Y, epochs=10**30), ValueError, "epochs must be an integer of at most"),
    (lambda: net().fit(X, Y, epochs=1, dropout=np.array(0.5)), TypeError, "dropout must be a number"),
    (lambda: net().fit(X, Y, epochs=1, optimizer=np.ones(2)), TypeError, "optimizer must be an instance of"),
    (lambda: MLP(np.array(3)), TypeError, "sizes must be two or more integers"),
    (
        lambda: MLP.from_params("spec", np.ones(3)),
        TypeError,
        "spec must be a NetworkSpec, such as net.spec; got",
    ),
    (
        lambda: fastnn.Ensemble("spec", np.ones((1, 3))),
        TypeError,
        "spec must be a NetworkSpec, such as net.spec; got",
    ),
    (lambda: net().with_scaling(0, 1e-320, 0, 1), ValueError, "must give parameters that fit into float64"),
    (lambda: fastnn.sweep(X, Y, {"hidden": 3}, epochs=1), TypeError, "hidden of settings must be a sequence"),
    (lambda: fastnn.sweep(X, Y, 3, epochs=1), TypeError, "settings must be a grid"),
    (lambda: fastnn.sweep(None, Y, {"hidden": [3]}, epochs=1), TypeError, "X must be an array of real numbers .* None"),
    (lambda: fastnn.sweep(1.0, Y, {"hidden": [3]}, epochs=1), ValueError, "X must be an array with a row for each"),
    (lambda: fastnn.sweep(X[:0], Y[:0], {}, epochs=1, folds=2), ValueError, "X must be an array with a row for each"),
    (lambda: fastnn.sweep(X, Foreign(), {}, epochs=1), TypeError, "y must be an array of real numbers"),
    (lambda: fastnn.sweep(X, Y, {}, epochs=1, warn=3), TypeError, "warn must be True or False; got 3"),
    (
        lambda: fastnn.sweep(X, Y, {"l2": [0, 1]}, epochs=1, hidden=iter([3])),
        TypeError,
        "hidden of settings must be one value, or a tuple; got <list_iterator",
    ),
    (
        lambda: fastnn.sweep(X, Y, {}, epochs=1, folds=2, sample_weight=[1, np.inf, 1, 1]),
        ValueError,
        "sample_weight must be finite; got inf in row 1",
    ),
    (lambda: many(sample_weight=scipy.sparse.csr_array(np.ones((1, 4)))), TypeError, "sample_weight must be .* sparse"),
    (lambda: net().with_domain(X).distance([[1, 2], [3]]), ValueError, "x must be an array .* got a ragged list"),
    (lambda: net().with_domain(X).inside(Foreign()), TypeError, "x must be an array of real numbers"),
    (lambda: many(members=np.array([2**63], np.uint64)), ValueError, "members must be a count"),
    (lambda: many(members=[[1], [2, 3]]), ValueError, "members must be a count"),
    (lambda: many(seeds=np.array([2**63], np.uint64)), ValueError, "seeds must be integers of at least 0"),
    (lambda: many(sample_weight=[[1, 2], [3]]), ValueError, "sample_weight must be an array of real numbers"),
]


def members(**settings):
    return fastnn.Ensemble(net().spec, np.ones((2, 21)), **settings)


def many(**settings):
    return fastnn.fit_many(net().spec, X, Y, epochs=1, **{"members": 1, "specialize": False} | settings)


@pytest.mark.parametrize(("act", "error", "message"), BAD_CALLS, ids=lambda value: value if type(value) is str else "")
def test_what_went_wrong_behind_the_boundary_is_refused_at_it(act, error, message):
    with pytest.raises(error, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)


def zero(o, y):
    return 0.0


#: Of each call the argument that is tried, by the name that its refusal has.
TRIED = {
    "sizes": lambda value: MLP(value),
    "activation": lambda value: MLP((3, 4, 1), activation=value),
    "dtype": lambda value: MLP((3, 1), dtype=value),
    "init": lambda value: MLP((3, 1), init=value),
    "params": lambda value: MLP.from_params(net().spec, value),
    "spec": lambda value: MLP.from_params(value, np.ones(21)),
    "X of predict": lambda value: net().predict(value),
    "x of jacobian": lambda value: net().jacobian(value, np.empty(1), np.empty((1, 3))),
    "x of vjp_params": lambda value: net().vjp_params(value, np.ones(1), np.zeros(21)),
    "x of distance": lambda value: net().with_domain(X).distance(value),
    "x_scale": lambda value: net().with_scaling(0.0, value),
    "caller": lambda value: net().cfunc(value),
    "method": lambda value: net().workspace(value),
    **{
        f"{name} of fit": lambda value, name=name: net().fit(**{"X": X, "y": Y, "epochs": 1, name: value})
        for name in ("X", "y", "sample_weight", "epochs", "loss", "optimizer", "batch_size", "l2", "quantiles",
                     "validation_data", "early_stopping", "trainable", "dydx", "state", "threads", "backend")
    },
    **{
        f"{name} of fit_many": lambda value, name=name: many(**{name: value})
        for name in ("sample_weight", "members", "seeds", "features", "validation_data", "history", "params")
    },
    **{
        f"{name} of sweep": lambda value, name=name: fastnn.sweep(
            **{"X": X, "y": Y, "settings": {}, "epochs": 1, name: value}
        )
        for name in ("X", "y", "settings", "seeds", "folds", "sample_weight", "warn", "hidden", "l2", "loss")
    },
    "X of standardize": lambda value: fastnn.standardize(value),
    "index": lambda value: members()[value],
    "q": lambda value: members().quantile(X, value),
    "positions": lambda value: members(positions=value),
    "seed": lambda value: members(seed=value),
    "coverage": lambda value: fastnn.intervals(net(), X, Y, coverage=value),
    "value": lambda value: fastnn.Loss(value, abs),
    "derivative": lambda value: fastnn.Activation(zero, value),
    "outputs": lambda value: fastnn.Loss(zero, zero, outputs=value),
    "functions": lambda value: fastnn.load("a.npz", value),
    "report": lambda value: fastnn.warmup(value),
    "batch_size of explain": lambda value: fastnn.explain(net(), batch_size=value),
}  # fmt: skip
#: What nothing takes.
JUNK = [Foreign(), Nameless(), 10**5000, [[1], [2, 3]], np.array("a"), np.ma.masked, object(), "a\nb", b"ab", 1j]


@pytest.mark.parametrize("tried", TRIED)
def test_whatever_comes_is_refused_by_the_arguments_name(tried):
    name = tried.partition(" ")[0]
    for junk in JUNK:
        with pytest.raises((TypeError, ValueError, IndexError), match=rf"\b{name}\b.*\bgot ") as caught:
            TRIED[tried](junk)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 500


def test_what_is_written_to_is_an_array_of_its_own():
    samples, buffer = X.copy(), np.zeros(12)
    with pytest.raises(ValueError, match="out must be an array of its own; got one that shares the memory of X"):
        MLP((3, 2)).loss_and_grad(samples, np.zeros((4, 2)), out=samples.reshape(-1)[:8])
    with pytest.raises(ValueError, match="jac must be an array of its own; got one that shares the memory of out"):
        MLP((3, 3)).jacobian(X[0], buffer[:3], buffer[:9].reshape(3, 3))


@pytest.mark.parametrize("backend", ["numba", "plain"])  # NumPy's own warns of it
def test_a_loss_that_overflows_is_infinite(backend):
    loss, _ = MLP((3, 2)).loss_and_grad(np.ones((4, 3)), np.full((4, 2), 1e200), backend=backend)
    assert loss == np.inf


def test_views_of_one_buffer_are_not_apart():
    """Each by a view of its own, as processes have of the memory that they share."""
    memory = bytearray(64)
    out, weight = (np.asarray(memoryview(memory).cast("d")) for _ in range(2))
    weight[:] = 1.0
    with pytest.raises(ValueError, match=r"out must be an array of its own; got one that shares .* of sample_weight"):
        MLP((3, 2)).loss_and_grad(np.ones((8, 3)), np.ones((8, 2)), sample_weight=weight, out=out)


def test_what_is_trained_on_is_apart_from_what_is_trained():
    """And so is what the gradient is written to from the samples' weights."""
    net, samples = MLP((3, 4, 1), rng=0), np.ones((7, 3))
    net.params = np.full(21, 0.5)  # which would do as targets and as weights
    views = {"X": net.params.reshape(7, 3), "y": net.params[:7], "sample_weight": net.params[:7]}
    for name, view in views.items():
        data = {"X": samples, "y": samples[:, 0], "sample_weight": np.ones(7)} | {name: view}
        expected = f"{name} must be an array of its own; got one that shares the memory of params"
        with pytest.raises(ValueError, match=expected):
            net.fit(**data, epochs=1)
        with pytest.raises(ValueError, match=f"validation_data: {expected}"):
            net.fit(samples, samples[:, 0], epochs=1, validation_data=tuple(data.values()))
    with pytest.raises(ValueError, match="dydx must be an array of its own; got one that shares the memory of params"):
        net.fit(samples, samples[:, 0], epochs=1, dydx=views["X"])
    with pytest.raises(ValueError, match=r"directions must be an array of its own; got one that shares .* of params"):
        net.fit(samples, samples[:, 0], epochs=1, dydx=np.ones((7, 1, 7)), directions=views["X"])
    room = np.ones(21)
    for name, view in {"y": room[:7].reshape(7, 1), "sample_weight": room[:7]}.items():
        data = {"X": samples, "y": samples[:, :1], "sample_weight": np.ones(7)} | {name: view}
        with pytest.raises(ValueError, match=f"out must be an array of its own; got one that shares .* of {name}"):
            net.loss_and_grad(**data, out=room)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_noise": 1e39}, "input_noise must be .* in float32, too; got 1e[+]39, which becomes inf"),
        ({"loss": "huber", "delta": 1e-40}, "delta must be .* in float32, too; got 1e-40, which becomes 0.0"),
        ({"loss": "huber", "delta": [1.0, 1e-40]}, "delta must be .* in float32, too; got 1e-40, which becomes 0.0"),
        ({"loss": "huber", "delta": [1e39, 1.0]}, "delta must be .* in float32, too; got 1e[+]39, which becomes inf"),
    ],
)
def test_what_float32_makes_of_a_number_must_be_in_its_interval(settings, message):
    with pytest.raises(ValueError, match=message):
        MLP((3, 2), dtype="float32").fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, **settings)
    MLP((3, 2)).fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, backend="numpy", **settings | {"input_noise": 0.0})


def test_probabilities_may_be_off_by_rounding_alone():
    net = MLP((3, 2), output_activation="softmax")
    for off in (-9e-4, 9e-4):
        net.loss_and_grad(np.ones((1, 3)), [[0.5, 0.5 + off]], "cross_entropy", backend="numpy")
    for off in (-2e-3, 2e-3):
        with pytest.raises(ValueError, match="y must hold class labels or rows that sum to 1 for cross_entropy"):
            net.loss_and_grad(np.ones((1, 3)), [[0.5, 0.5 + off]], "cross_entropy", backend="numpy")


def test_standardizing_the_largest_numbers():
    mean, scale, *_ = fastnn.standardize(np.array([[1e308], [1.5e308], [1e308]]), np.zeros(3))
    np.testing.assert_allclose([mean[0], scale[0]], [3.5 / 3 * 1e308, 0.5e308 * np.sqrt(2) / 3], rtol=1e-12)


def test_standardizing_numbers_whose_squares_vanish():
    mean, scale = fastnn.standardize(np.array([[1e-160], [1.5e-160], [1e-160]]))
    np.testing.assert_allclose([mean[0], scale[0]], [3.5 / 3 * 1e-160, 0.5e-160 * np.sqrt(2) / 3], rtol=1e-12)


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (fastnn.LBFGS(memory=2.5), "memory of LBFGS must be an integer of at least 1; got 2.5"),
        (fastnn.LevenbergMarquardt(memory=1e6), "memory of LevenbergMarquardt must be an integer of at least 1; got"),
        (fastnn.SGD(nesterov=0.5), "nesterov of SGD must be True or False; got 0.5"),
    ],
)
def test_a_float_is_no_integer_and_no_flag(optimizer, message):
    with pytest.raises(TypeError, match=message):
        check_optimizer(optimizer)


def test_what_is_finite_is_told_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all_finite(np.full(3, 1e300))
        assert not all_finite(np.array([1e300, np.inf, np.nan]))


# ---------------------------------------------------------------- what is left out
#: A default is a promise: who leaves a setting out gets the same run from the next version.
DEFAULTS = {
    "activation": "tanh", "output_activation": "identity", "init": "glorot_uniform", "bias": True, "dtype": "float64",
    "loss": "mse", "delta": 1.0, "quantiles": 0.5, "min_variance": 1e-6, "targets": "complete", "optimizer": Adam(),
    "batch_size": None, "shuffle": True, "sample_weight": None, "l2": 0.0, "max_grad_norm": None, "dropout": 0.0,
    "input_noise": 0.0, "dydx": None, "dydx_weight": 1.0, "directions": None, "trainable": None, "features": None,
    "validation_data": None, "validation_fraction": None, "early_stopping": None, "history": False, "threads": 1,
    "specialize": None, "backend": "numba", "progress": None, "warn": True, "max_batch": 1, "coverage": 0.9,
    "method": "absolute", "rng": None, "last_layer": False, "folds": None, "outside": "ignore",
}  # fmt: skip
SETTINGS = [
    (SGD(), (1e-2, 0.0, False)),
    (RMSprop(), (1e-2, 0.99, 1e-8)),
    (Adam(), (1e-3, 0.9, 0.999, 1e-8)),
    (AdamW(), (1e-3, 0.9, 0.999, 1e-8, 1e-2)),
    (Rprop(), (1e-2, 0.5, 1.2, 1e-6, 50.0)),
    (fastnn.LevenbergMarquardt(), (1e-3, 2**26, None)),
    (fastnn.LBFGS(), (10, 1e-8, 1e-12)),
    (fastnn.EarlyStopping(), (10, 0.0, "loss", True)),
    (schedules.Step(1.0, every=2), (1.0, 2, 0.1)),
    (schedules.Exponential(1.0), (1.0, 0.95)),
    (schedules.InverseScaling(1.0), (1.0, 0.5, 1.0)),
    (schedules.Cosine(1.0, epochs=9), (1.0, 9, 0, 0.0)),
    (schedules.OneCycle(1.0, epochs=9), (1.0, 9, 0.3, 0.04, 4e-6)),
    (schedules.ReduceOnPlateau(1.0), (1.0, 0.1, 10, 1e-4, 0, 0.0)),
]
CALLS = [
    MLP, MLP.fit, MLP.loss_and_grad, MLP.with_domain, fastnn.fit_many, fastnn.sweep, fastnn.TrainState,
    fastnn.intervals, fastnn.prediction_sets, fastnn.laplace,
]  # fmt: skip


@pytest.mark.parametrize(("settings", "values"), SETTINGS, ids=lambda value: type(value).__name__)
def test_settings_have_the_same_defaults_in_every_version(settings, values):
    assert dataclasses.astuple(settings) == values


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_arguments_have_the_same_defaults_in_every_call_and_version(function):
    parameters = inspect.signature(function).parameters.values()
    given = {p.name: p.default for p in parameters if p.name in DEFAULTS and p.default is not p.empty}
    assert given
    assert given == {name: DEFAULTS[name] for name in given}


def test_bounds_may_meet_and_what_a_loss_does_not_take_may_be_anything():
    for optimizer in (Rprop(0.1, step_min=0.1, step_max=0.1), SGD(ReduceOnPlateau(0.1, min_rate=0.1))):
        assert net().fit(X, Y, epochs=2, optimizer=optimizer).epochs == 2
    for delta in (1e-50, [1e-50] * Y.shape[1]):
        assert net(dtype="float32").fit(X, Y, epochs=1, loss="mse", delta=delta).epochs == 1
    with pytest.raises(ValueError, match="delta must be a finite number above 0; got 1e-310"):  # which is 0 to kernels
        net().fit(X, Y, epochs=1, loss="huber", delta=1e-310)
