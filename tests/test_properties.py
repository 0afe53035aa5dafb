"""Whatever comes to the boundary is taken as a clean copy of it would be, or refused in one sentence; never changed."""

import inspect
import os
import signal
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import fastnn
from examples import examples
from fastnn import MLP, SGD, Adam

NETS = {dtype: MLP((3, 4, 3), rng=0, dtype=dtype) for dtype in ("float64", "float32")}
ONE = MLP((3, 4, 1), rng=0)
VALUES = [0.0, -0.0, 1.0, -2.5, 5e-324, 1e-310, 1e-40, 1e30, 3e38, 1e39, 1e150, 1e308, -1e308, np.inf, -np.inf, np.nan]
PLAIN = st.sampled_from([0.0, 1.0, -2.5, 0.3, 7.0])
DTYPES = ["f8", "f4", "f2", "g", ">f8", ">f4", "i1", "i4", ">i4", "i8", "u1", "u8", "?"]
NO_NUMBERS = ["O", "c16", "M8[s]", "m8[s]", "U3", "S3", "V8"]


def laid_out(draw, array):
    """The same numbers in another layout, and maybe another kind of array."""
    kind = draw(
        st.sampled_from(
            ["plain", "fortran", "backwards", "spread", "unaligned", "read-only", "matrix", "masked", "memmap", "list"]
            + ["pandas", "polars"]
        )
    )
    match kind:
        case "fortran":
            return np.asfortranarray(array)
        case "backwards":
            return array[::-1].copy()[::-1]
        case "spread":
            wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
            wide[..., ::2] = array
            return wide[..., ::2]
        case "unaligned":
            raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
            place = np.ndarray(array.shape, array.dtype, raw.data)
            place[...] = array
            return place
        case "read-only":
            array = array.copy()
            array.flags.writeable = False
        case "matrix" if array.ndim == 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.matrix(array)
        case "masked":
            return np.ma.array(array)
        case "memmap" if array.size:
            with tempfile.TemporaryFile() as file:
                place = np.memmap(file, array.dtype, "w+", shape=array.shape)
                place[...] = array
                return place
        case "list":
            return array.tolist()
        case "pandas" if array.ndim == 2 and array.dtype.isnative and array.dtype.char not in "ge":
            return pytest.importorskip("pandas").DataFrame(array)
        case "polars" if array.ndim == 2 and array.dtype.isnative and array.dtype.char in "dfilqB?":
            return pytest.importorskip("polars").DataFrame(array)
    return array


@st.composite
def arrays(draw, shape, extreme=True, dtypes=DTYPES):
    """An array of this shape, as users may have it."""
    count = int(np.prod(shape))
    values = draw(st.lists(st.sampled_from(VALUES) if extreme else PLAIN, min_size=count, max_size=count))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = np.array(values).reshape(shape).astype(dtype)
    return laid_out(draw, array)


def clean(value, dtype):
    """A plain copy in the network's dtype, or None where it does not fit."""
    with np.errstate(all="ignore"):
        numbers = np.array(np.asarray(value))
        array = np.array(numbers.astype(dtype))
    return array if np.array_equal(np.isfinite(array), np.isfinite(numbers)) else None


def snapshot(value):
    return value if isinstance(value, list) else np.asarray(value).tobytes()


def attempt(function, *arguments, **settings):
    """What a call gives, or the sentence that it is refused with; the arguments are what they were."""
    before = [snapshot(argument) for argument in arguments]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "training (diverged|stalled)", RuntimeWarning)
        try:
            answer = function(*arguments, **settings)
        except (TypeError, ValueError) as error:
            answer = error
    if isinstance(answer, Exception):
        refusal = str(answer)
        assert " must " in refusal
        assert "\n" not in refusal
    assert [snapshot(argument) for argument in arguments] == before
    return answer


BACKENDS = st.sampled_from(["numpy", "numba"])


@examples(50)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]), backend=BACKENDS, n=st.integers(0, 4))
def test_any_samples_predict_as_clean_ones_do(data, dtype, backend, n):
    net, X = NETS[dtype], data.draw(arrays((n, 3)))
    answer, plain = attempt(net.predict, X, backend=backend), clean(X, dtype)
    if isinstance(X, list) and n == 0:
        assert isinstance(answer, ValueError)
    elif plain is None:
        assert isinstance(answer, ValueError)
        assert f"fit into {dtype}" in str(answer)
    else:
        with np.errstate(all="ignore"):
            expected = net.predict(plain, backend="numpy")
        np.testing.assert_allclose(answer, expected, rtol=1e-12 if dtype == "float64" else 1e-5, atol=1e-30)


@examples(50)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]), backend=BACKENDS, n=st.integers(1, 4))
def test_loss_and_grad(data, dtype, backend, n):
    net = NETS[dtype]
    X, y = data.draw(arrays((n, 3))), data.draw(arrays((n, 3)))
    answer = attempt(net.loss_and_grad, X, y, "mae", backend=backend)
    X, y = clean(X, dtype), clean(y, dtype)
    if X is None or y is None or not (np.isfinite(X).all() and np.isfinite(y).all()):
        assert isinstance(answer, ValueError)
    else:
        with np.errstate(all="ignore"):
            expected = net.loss_and_grad(X, y, "mae", backend="numpy")
        tolerance, limits = 1e-11 if dtype == "float64" else 2e-5, np.finfo(dtype)
        if max(abs(X).max(), abs(y).max()) > limits.max / 1e6:
            return  # where a sum may overflow in one order and not in another
        np.testing.assert_allclose(answer[0], expected[0], rtol=tolerance, atol=limits.tiny)  # denormals are zero
        np.testing.assert_allclose(answer[1], expected[1], atol=tolerance * abs(expected[1]).max() + limits.tiny)


@examples(30)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]), backend=BACKENDS, n=st.integers(1, 5))
def test_any_samples_train_as_clean_ones_do(data, dtype, backend, n):
    """The same bits as on a clean copy."""
    X, y = data.draw(arrays((n, 3), extreme=False)), data.draw(arrays((n, 3), extreme=False))
    weight = data.draw(st.none() | arrays((n,), extreme=False))
    settings = {"epochs": 2, "rng": 0, "backend": backend, "specialize": False, "batch_size": 2, "optimizer": SGD(0.1)}
    one, other = NETS[dtype].copy(), NETS[dtype].copy()
    answer = attempt(one.fit, X, y, sample_weight=weight, **settings)
    plain = [None if array is None else clean(array, dtype) for array in (X, y, weight)]
    expected = attempt(other.fit, plain[0], plain[1], sample_weight=plain[2], **settings)
    if isinstance(expected, ValueError):
        assert isinstance(answer, ValueError)
    else:
        assert one.params.tobytes() == other.params.tobytes()
        np.testing.assert_array_equal(answer.loss, expected.loss)


@examples(25)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]), n=st.integers(1, 4))
def test_any_samples_train_many_as_clean_ones_do(data, dtype, n):
    X, y = data.draw(arrays((n, 3), extreme=False)), data.draw(arrays((n, 3), extreme=False))
    settings = {"epochs": 1, "members": 2, "rng": 0, "specialize": False, "optimizer": SGD(0.1)}
    spec = NETS[dtype].spec
    answer = attempt(lambda *pair: fastnn.fit_many(spec, *pair, **settings), X, y)
    expected = fastnn.fit_many(spec, clean(X, dtype), clean(y, dtype), **settings)
    assert answer.params.tobytes() == expected.params.tobytes()


@examples(40)
@given(data=st.data(), dtype=st.sampled_from(["float64", "float32"]))
@pytest.mark.parametrize("method", ["forward", pytest.param("jacobian", marks=pytest.mark.slow), "vjp", "jvp"])
def test_any_one_sample_gives_what_a_clean_one_does(method, data, dtype):
    net, x, v = NETS[dtype], data.draw(arrays((3,))), data.draw(arrays((3,)))

    def outputs(x, v):
        out, jac = np.zeros(3, dtype), np.zeros((3, 3), dtype)
        match method:
            case "forward":
                net.forward(x, out)
            case "jacobian":
                net.jacobian(x, out, jac)
            case _:
                getattr(net, method)(x, v, out)
        return np.concatenate([out, jac.ravel()])

    answer, plain = attempt(outputs, x, v), (clean(x, dtype), clean(v, dtype))
    if plain[0] is None or (plain[1] is None and method in ("vjp", "jvp")):
        assert isinstance(answer, ValueError)
    else:
        np.testing.assert_array_equal(answer, outputs(*plain))


@examples(40)
@given(data=st.data())
def test_hessian_and_params(data):
    x, params = data.draw(arrays((3,))), data.draw(arrays((ONE.spec.n_params,)))

    def hessian(x):
        h = np.zeros((3, 3))
        ONE.hessian(x, h)
        return h

    answer, plain = attempt(hessian, x), clean(x, "float64")
    if plain is not None:
        np.testing.assert_array_equal(answer, hessian(plain))
    answer, plain = attempt(lambda values: MLP.from_params(ONE.spec, values), params), clean(params, "float64")
    if plain is None:
        assert isinstance(answer, ValueError)
    else:
        np.testing.assert_array_equal(answer.params, plain)


@examples(40)
@given(data=st.data(), n=st.integers(1, 5))
def test_any_samples_are_standardised_to_finite_numbers(data, n):
    X = data.draw(arrays((n, 2)))
    answer, plain = attempt(lambda X: fastnn.standardize(X, np.zeros(n)), X), clean(X, "float64")
    if plain is None or not np.isfinite(plain).all():
        assert isinstance(answer, ValueError)
        return
    mean, scale, *_ = answer
    assert np.isfinite(mean).all()
    assert np.isfinite(scale).all()
    assert (scale > 0).all()
    size = np.maximum(abs(plain).max(axis=0), 1)
    np.testing.assert_allclose(mean / size, (plain / size).mean(axis=0), atol=1e-12)
    varies = (plain / size).std(axis=0) > 1e-7
    np.testing.assert_allclose((scale / size)[varies], (plain / size).std(axis=0)[varies], rtol=1e-6)


@examples(40)
@given(scales=st.lists(st.sampled_from(VALUES), min_size=4, max_size=4), dtype=st.sampled_from(["float64", "float32"]))
def test_any_scales_leave_finite_parameters(scales, dtype):
    net = NETS[dtype]
    answer = attempt(net.with_scaling, *scales)
    if not isinstance(answer, Exception):
        assert np.isfinite(answer.params).all()


JUNK = st.sampled_from(
    [None, True, -1, 0, 2.5, np.nan, np.inf, "x", b"x", (), [], [1], [[1], [2, 3]], {}, {1}, object, np.array(1)]
    + [np.array([2**63], np.uint64), np.array([1 + 1j]), np.datetime64("2020"), 10**400, np.float16(0.5), 1 + 1j]
    + [10**15, 2**62, np.int8(3), np.bool_(True), np.str_("tanh"), [None], [np.nan], range(3), iter(())]
    + [np.zeros((2, 2), dtype) for dtype in NO_NUMBERS]
)
X, Y = np.random.default_rng(0).normal(size=(6, 3)), np.zeros((6, 3))


COMMON = {"epochs": 1, "optimizer": SGD(0.01)}


def fit(**settings):
    return NETS["float64"].copy().fit(**{"X": X, "y": Y, "specialize": False} | COMMON | settings)


def scheduled(schedule, **whole):
    return lambda **settings: fit(optimizer=SGD(schedule(**{"learning_rate": 0.1} | whole | settings)))


#: Whatever has settings, and a call with some of them.
CALLS = {
    MLP.fit: fit,
    MLP.loss_and_grad: lambda **settings: NETS["float64"].loss_and_grad(**{"X": X, "y": Y} | settings),
    MLP: lambda **settings: MLP(**{"sizes": (3, 2)} | settings),
    fastnn.fit_many: lambda **settings: fastnn.fit_many(
        NETS["float64"].spec, **{"X": X, "y": Y, "members": 2, "specialize": False} | COMMON | settings
    ),
    fastnn.sweep: lambda **settings: fastnn.sweep(
        **{"X": X, "y": Y, "settings": {"hidden": [(2,)]}} | COMMON | settings
    ),
    fastnn.EarlyStopping: lambda **settings: fit(early_stopping=fastnn.EarlyStopping(**settings)),
    fastnn.schedules.Cosine: scheduled(fastnn.schedules.Cosine, epochs=5),
    fastnn.schedules.ReduceOnPlateau: scheduled(fastnn.schedules.ReduceOnPlateau),
    SGD: lambda **settings: fit(optimizer=SGD(**settings)),
    Adam: lambda **settings: fit(optimizer=Adam(**settings)),
    fastnn.Rprop: lambda **settings: fit(optimizer=fastnn.Rprop(**settings)),
    fastnn.LevenbergMarquardt: lambda **settings: fit(optimizer=fastnn.LevenbergMarquardt(**settings)),
    fastnn.LBFGS: lambda **settings: fit(optimizer=fastnn.LBFGS(**settings)),
}
NOT_TRIED = {"self", "spec", "checkpoint"}


@examples(25)
@given(data=st.data())
@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_any_setting_works_or_is_refused(function, data):
    """Any value of any setting: it works, or is refused in one sentence."""
    names = [name for name in inspect.signature(function).parameters if name not in NOT_TRIED]
    setting = {data.draw(st.sampled_from(names)): data.draw(JUNK)}
    attempt(lambda: CALLS[function](**setting))


# ---------------------------------------------------------------- from step to step
class Runs(RuleBasedStateMachine):
    """However a run is cut in pieces, kept on disk, damaged or killed: it ends where the undisturbed one does."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "net.npz"
        self.settings = {"optimizer": Adam(0.01), "batch_size": 4, "backend": "numpy"}
        self.net, self.state, self.epochs, self.saved = MLP((3, 4, 3), rng=0), None, 0, None

    @initialize()
    def begin(self):
        self.whole = [self.net.params.copy()]
        net, state = self.net.copy(), None
        for _ in range(12):
            state = net.fit(X, Y + 1, epochs=1, state=state, rng=0 if state is None else None, **self.settings).state
            self.whole.append(net.params.copy())

    def check(self):
        assert self.net.params.tobytes() == self.whole[self.epochs].tobytes()

    @precondition(lambda self: self.epochs < 12)
    @rule(epochs=st.integers(1, 3), stop=st.booleans())
    def fit(self, epochs, stop):
        epochs = min(epochs, 12 - self.epochs)
        rng = 0 if self.state is None else None
        callback = (lambda epoch: True) if stop else None
        history = self.net.fit(X, Y + 1, epochs=epochs, state=self.state, rng=rng, callback=callback, **self.settings)
        assert history.stopped == ("callback" if stop else "finished")
        self.epochs, self.state = self.epochs + history.epochs, history.state
        self.check()

    @rule()
    def refused(self):
        before = None if self.state is None else self.state.counters.copy()
        with pytest.raises(ValueError, match="finite"):
            self.net.fit(X * np.nan, Y, epochs=1, state=self.state, **self.settings)
        assert before is None or (self.state.counters == before).all()
        self.check()

    @rule()
    def save(self):
        self.net.save(self.path)
        self.saved = self.epochs, self.state

    @precondition(lambda self: self.saved is not None)
    @rule()
    def load(self):
        self.net, (self.epochs, self.state) = fastnn.load(self.path), self.saved
        self.check()

    @precondition(lambda self: self.saved is not None and hasattr(os, "fork"))
    @rule(wait=st.floats(0, 0.01))
    def killed_while_saving(self, wait):
        """The file is the old one or the new one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads, which the child does without
            child = os.fork()
        if child == 0:
            try:
                while True:
                    self.net.save(self.path)
            finally:
                os._exit(1)
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = fastnn.load(self.path).params.tobytes()
        assert found in (self.whole[self.saved[0]].tobytes(), self.net.params.tobytes())
        self.save()

    def teardown(self):
        self.folder.cleanup()


def test_runs_cut_in_pieces():
    run_state_machine_as_test(Runs, settings=examples(15, stateful_step_count=12))
