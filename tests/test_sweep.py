"""`sweep`: every combination, seed and fold is trained, whatever shares a call, and diverging ones do no harm."""

import signal
import sys

import numpy as np
import pytest

import fastnn
from fastnn import MLP, SGD, Adam, fit_many
from fastnn.ensembles import chunks
from fastnn.ensembles import sweep as sweeps
from fastnn.ensembles.sweep_result import Sweep
from fastnn.reference.network import forward

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 1))
CLASSES = {"loss": "cross_entropy", "output_activation": "softmax"}


def test_a_grid_of_settings_seeds_and_folds():
    grid = {"hidden": [(4,), (5,)], "learning_rate": [0.05, 0.1], "l2": [0.0, 0.1]}
    result = fastnn.sweep(X, Y, grid, seeds=2, folds=3, epochs=4, optimizer=SGD())
    assert len(result.records) == len(result.networks) == 8 * 2 * 3
    assert repr(result) == "<Sweep: 8 settings, 48 runs>"
    assert len({(r["setting"], r["seed"], r["fold"]) for r in result.records}) == 48
    best = result.summary()
    assert [row["validation_loss_mean"] for row in best] == sorted(row["validation_loss_mean"] for row in best)
    for row in best:
        values = [r["validation_loss"] for r in result.records if r["setting"] == row["setting"]]
        assert row["validation_loss_mean"] == pytest.approx(np.mean(values))
        assert row["validation_loss_std"] == pytest.approx(np.std(values))
        assert {name: row[name] for name in grid} == result.settings[row["setting"]]
    held = np.random.default_rng(0).permutation(24) % 3 == result.records[1]["fold"]
    loss, _ = result.networks[1].loss_and_grad(X[held], Y[held])
    assert result.records[1]["validation_loss"] == pytest.approx(loss)


@pytest.mark.parametrize(
    ("loss", "outputs", "numbers"),
    [("pinball", 3, {"quantiles": (0.1, 0.5, 0.9)}), ("gaussian_nll", 2, {"min_variance": 0.5})],
)
def test_networks_have_the_outputs_that_the_loss_needs_and_are_judged_by_it(loss, outputs, numbers):
    result = fastnn.sweep(X, Y[:, 0], {"hidden": [(4,)]}, seeds=1, folds=2, epochs=1, loss=loss, **numbers)
    assert [net.spec.n_out for net in result.networks] == [outputs] * 2
    held = result.fold_of == 1
    expected, _ = result.networks[1].loss_and_grad(X[held], Y[held, 0], loss, **numbers)
    assert result.records[1]["validation_loss"] == pytest.approx(expected)


def test_a_run_is_the_one_that_fit_many_makes_of_it():
    result = fastnn.sweep(X, Y, {"learning_rate": [0.05, 0.1]}, seeds=[8, 3], epochs=4, hidden=(4,), optimizer=SGD())
    alone = fit_many(MLP((3, 4, 1)).spec, X, Y, members=1, seeds=[3], epochs=4, optimizer=SGD(0.1), specialize=False)
    assert [(record["seed"], record["fold"]) for record in result.records] == [(8, None), (3, None)] * 2
    assert result.networks[-1].params.tobytes() == alone.params[0].tobytes()
    assert result.records[-1]["validation_loss"] != result.records[-1]["validation_loss"]


def test_samples_weigh_as_much_in_their_fold_as_where_they_are_trained_on():
    weights, settings = np.arange(1.0, 25), {"epochs": 3, "optimizer": SGD(0.1)}
    result = fastnn.sweep(X, Y, {"l2": [0.0, 0.1]}, folds=3, sample_weight=weights, hidden=(4, 5), **settings)
    settings |= {"members": 1, "seeds": [0], "l2": 0.1, "specialize": False}
    for fold, net in enumerate(result.networks[3:]):
        held = result.fold_of == fold
        alone = fit_many(net.spec, X, Y, sample_weight=np.where(held, 0, weights), **settings)
        assert net.params.tobytes() == alone.params[0].tobytes()
        loss, _ = net.loss_and_grad(X[held], Y[held], sample_weight=weights[held])
        assert result.records[3 + fold]["validation_loss"] == pytest.approx(loss)
    many, trained_on = result.members(0)
    assert [net.params.tobytes() for net in many] == [net.params.tobytes() for net in result.networks[:3]]
    np.testing.assert_array_equal(trained_on, [result.fold_of != fold for fold in range(3)])


def test_members_of_a_setting_are_refused_in_a_sentence():
    result = fastnn.sweep(X, Y, {"l2": [0.0]}, epochs=1)
    with pytest.raises(ValueError, match="members must come from a sweep with folds"):
        result.members(0)
    result = fastnn.sweep(X, Y, {"l2": [0.0]}, folds=2, epochs=1)
    with pytest.raises(ValueError, match="setting must be the number of a setting with finished runs; got 1"):
        result.members(1)
    for number in (True, "0", np.array([0, 1])):
        with pytest.raises(TypeError, match="setting must be an integer of at least 0; got"):
            result.members(number)


def test_classes_may_be_labels_or_rows_of_zeros_and_a_one():
    labels = np.arange(24) % 3
    for y in (labels, np.eye(3)[labels]):
        [net] = fastnn.sweep(X, y, {"hidden": [(4,)]}, epochs=1, **CLASSES).networks
        assert net.spec.n_out == 3


def test_several_targets_of_a_quantile_have_an_output_each():
    [net] = fastnn.sweep(X, np.c_[Y, -Y], {"hidden": [(4,)]}, epochs=1, loss="pinball", quantiles=0.7).networks
    assert net.spec.n_out == 2


def test_settings_are_checked_before_any_is_trained(monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("trained")

    monkeypatch.setattr(chunks, "train_members", refuse)
    one = {"epochs": 1, "optimizer": SGD(0.1)}
    for name in ("epochs", "batch_size"):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1; got 0"):
            fastnn.sweep(X, Y, {name: [2, 0]}, **({} if name == "epochs" else one))
    for entry, message in (
        ({"max_grad_norm": [1.0, -1]}, "max_grad_norm must be a finite number above 0; got -1"),
        ({"momentum": [0.5, 2]}, r"momentum of SGD must be a number in \[0, 1\); got 2"),
        ({"init": ["he_normal", "he"]}, "init must be one of .*; got 'he'"),
        ({"loss": ["mse", "cross_entropy"]}, "cross_entropy"),
        ({"early_stopping": [None, 3]}, "early_stopping must be a fastnn.EarlyStopping or None; got 3"),
        ({"early_stopping": [None, fastnn.EarlyStopping(monitor="metric")]}, "monitor"),
        ({"optimizer": [SGD(0.1), Adam(beta_1=2.0)]}, "beta_1 of Adam"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            fastnn.sweep(X, Y, entry, **(one | {"folds": None}))


def test_a_checkpoint_keeps_each_call(tmp_path, monkeypatch):
    def run():
        return fastnn.sweep(X, Y, {"hidden": [(4,), (5,)]}, seeds=2, folds=2, epochs=2, checkpoint=tmp_path)

    first = run()
    monkeypatch.setattr(chunks, "train_members", None)
    again = run()
    assert again.records == first.records
    assert [net.params.tobytes() for net in again.networks] == [net.params.tobytes() for net in first.networks]


def test_what_shares_a_call_is_trained_together_and_a_handful_is_not_compiled_for(monkeypatch):
    calls = []

    def spy(spec, *args, **options):
        calls.append((len(options["seeds"]), options["specialize"]))
        return fit_many(spec, *args, **options)

    monkeypatch.setattr(sweeps, "fit_many", spy)
    fastnn.sweep(X, Y, {"optimizer": [SGD(0.1), Adam()], "l2": [0.0, 0.1]}, seeds=3, epochs=1)
    assert calls == [(6, False), (6, False)]
    calls.clear()
    fastnn.sweep(X, Y, {"l2": [0.0, 0.1]}, seeds=16, epochs=1, hidden=(4,), optimizer=SGD())
    assert calls == [(32, None)]
    calls.clear()
    fastnn.sweep(X, Y, {"momentum": [0.0, 0.5, 0.9]}, epochs=1, hidden=(4,), optimizer=SGD())
    assert calls == [(1, False), (2, False)]  # those without keep no velocity


def test_a_setting_that_diverges_leaves_the_others_alone():
    result = fastnn.sweep(X, Y, {"learning_rate": [1e200, 0.1]}, epochs=5, optimizer=SGD())
    assert [record["stopped"] for record in result.records] == ["diverged", "finished"]
    assert [(row["setting"], row["diverged"]) for row in result.summary()] == [(1, 0), (0, 1)]
    losses = (("diverged", np.nan, np.nan), ("finished", 1.0, 2.0), ("finished", 2.0, 1.0))
    records = [
        {"setting": i, "stopped": stopped, "loss": loss, "validation_loss": validation_loss}
        for i, (stopped, loss, validation_loss) in enumerate(losses)
    ]
    assert [row["setting"] for row in Sweep(records, [{}] * 3, []).summary()] == [2, 1, 0]


def test_validation_losses_that_overflow_are_no_warning():
    """Which would be an error here."""
    result = fastnn.sweep(X, Y, {"l2": [0.0]}, seeds=2, epochs=1, dtype="float32", validation_data=(X, 1e25 * Y))
    row = result.summary()[0]
    assert row["diverged"] == 0
    assert row["validation_loss_mean"] == np.inf
    assert np.isnan(row["validation_loss_std"])


def test_a_frame_holds_the_records(monkeypatch):
    pytest.importorskip("pandas")
    pytest.importorskip("polars")
    result = fastnn.sweep(X, Y, [{"l2": 0.0}, {"l2": 0.1}], epochs=1)
    frame = result.frame()
    assert list(frame["l2"]) == [0.0, 0.1]
    assert list(frame["loss"]) == [record["loss"] for record in result.records]
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert list(result.frame()["l2"]) == [0.0, 0.1]  # polars'
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match=r"frame\(\) needs pandas or polars, and neither is installed"):
        result.frame()


def test_a_frame_of_polars_holds_all_records_not_the_first_hundred(monkeypatch):
    pytest.importorskip("polars")
    monkeypatch.setitem(sys.modules, "pandas", None)
    first = {"setting": 0, "l2": 0, "batch_size": None, "hidden": (4,)}
    later = {"setting": 1, "l2": 0.5, "batch_size": 4, "hidden": 3, "optimizer": Adam()}
    frame = Sweep([first] * 110 + [later], [], []).frame()
    assert frame.columns == [*later]
    assert frame.row(-1, named=True) == later
    assert frame.row(0, named=True) == first | {"optimizer": None}
    assert Sweep([], [], []).frame().shape == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"learningrate": [1]}}, "an entry of settings must be one of"),
        ({"settings": []}, "settings must be a grid, or at least one setting"),
        ({"folds": 1}, "folds must be an integer of at least 2; got 1"),
        ({"folds": 25}, "folds must be at most the number of samples, 24; got 25"),
        ({"folds": np.arange(12) % 2}, "folds must be their number, or each sample's: 24 integers that count from 0"),
        ({"folds": np.arange(24) % 2 > 0}, r"folds must be .*; got an array of shape \(24,\) and dtype bool"),
        ({"folds": np.zeros(24, int)}, "folds must be .* without a gap; got 0"),
        ({"folds": np.arange(24) % 2 * 2}, "folds must be .* without a gap; got 0, 2"),
        ({"rng": 0}, "rng must be left out of a sweep, which takes seeds; got 0"),
        ({"folds": 2, "validation_data": (X, Y)}, "validation_data must be None if folds are given"),
        (
            {"folds": 2, "sample_weight": np.arange(24) == 3},
            "sample_weight must have .* in every fold; got only zeros in",
        ),
        (
            {"folds": 2, "targets": "masked", "y": np.where(np.arange(24)[:, None] == 3, Y, np.nan)},
            "y must hold a target that is not NaN, .* in every fold; got none in fold",
        ),
        ({"seeds": 0}, "seeds must be an integer of at least 1; got 0"),
        ({"seeds": []}, "seeds must be at least one; got none"),
        ({"seeds": range(0)}, "seeds must be at least one; got none"),
        ({"seeds": range(2**70, 0, -2)}, "seeds must be at most .* do not fit into the memory"),
        ({"seeds": [1, 2, 1]}, "seeds must differ from each other; got 1 more than once"),
        ({"settings": {"learning_rate": [True]}}, "learning_rate of Adam must be a finite .*; got True"),
        ({"settings": {"delta": [1.0, True]}}, "delta must be a finite number above 0; got True"),  # although 1 == True
        ({"settings": {"hidden": [4.0]}}, "hidden must be an integer of at least 1; got 4.0"),
        ({"learning_rate": [0.1]}, r"learning_rate of settings must be one value, or a tuple; got \[0.1\]"),
        ({"optimizer": Adam([0.1, 0.2])}, "optimizer of settings must be one value, or a tuple; got Adam"),
        ({"epochs": None, "settings": [{"l2": 0.0}]}, "epochs must be an integer of at least 1; got None"),
        (
            {"validation_data": (X, Y, np.ones((2, 24))), "seeds": 2},
            r"validation_data: sample_weight must have shape \(n,\), a weight for each row of X; got an array",
        ),
        ({"validation_data": (X[:, :1], Y)}, r"validation_data: X must have shape \(n, 3\); got \(24, 1\)"),
        (CLASSES | {"y": np.full(24, -1)}, "y must hold class labels, integers of at least 0; got -1 in row 0"),
        (CLASSES | {"y": np.full(24, np.nan)}, "y must hold class labels, integers of at least 0; got nan in row 0"),
        (CLASSES | {"y": np.full(24, "a")}, r"y must be an array of real numbers of shape \(n,\)"),
        (CLASSES | {"y": np.zeros(0, int)}, r"y must have shape \(n,\), a class label for each row of X; got \(0,\)"),
        (CLASSES | {"y": np.full(24, 10**10)}, "members must fit into the memory of .* one alone takes"),
        ({"settings": np.array(1)}, "settings must be a grid, or the settings one by one"),
        ({"settings": {"hidden": np.array(2)}}, "hidden of settings must be a sequence of values"),
        ({"settings": {"batch_size": [[1]]}}, r"batch_size of settings must be one value, or a tuple; got \[1\]"),
        ({"settings": {"hidden": [(3, 4.5)]}}, "every one of hidden must be an integer of at least 1; got 4.5"),
        ({"settings": {"l2": ["a"]}}, "l2 must be a finite number of at least 0; got 'a'"),
        ({"settings": {"momentum": [0.9]}}, "momentum must be left out of settings for Adam, which has none"),
        ({"checkpoint": 1}, "checkpoint must be a str or a path; got 1"),
        ({"checkpoint": __file__}, "checkpoint must be a directory; got the file"),
    ],
)
def test_bad_arguments_are_refused(change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fastnn.sweep(**({"X": X, "y": Y, "settings": {"l2": [0.0]}, "epochs": 1} | change))


def test_epochs_must_be_given():
    with pytest.raises(TypeError, match="epochs must be given, for all settings or in each; got none"):
        fastnn.sweep(X, Y, {"l2": [0.0]})


def test_folds_may_be_given():
    drawn = fastnn.sweep(X, Y, {"l2": [0.0, 0.1]}, folds=3, epochs=2)
    given = fastnn.sweep(X, Y, {"l2": [0.0, 0.1]}, folds=drawn.fold_of, epochs=2)
    assert given.records == drawn.records
    given = fastnn.sweep(X, Y, {"l2": [0.0]}, folds=[0] * 20 + [1] * 4, epochs=2)
    loss, _ = given.networks[1].loss_and_grad(X[20:], Y[20:])
    assert given.records[1]["validation_loss"] == pytest.approx(loss)
    assert (given.members(0)[1][1] == [1] * 20 + [0] * 4).all()


def test_one_validation_set_may_weigh_its_samples():
    weights = np.arange(24.0)
    result = fastnn.sweep(X, Y, {"l2": [0.0, 0.1]}, epochs=2, validation_data=(X, Y, weights.tolist()))
    loss, _ = result.networks[0].loss_and_grad(X, Y, sample_weight=weights)
    assert result.records[0]["validation_loss"] == pytest.approx(loss)


def test_validation_losses_take_the_rows_that_are_held_out_and_no_gradient(monkeypatch):
    rows = []

    def spy(spec, params, X):
        rows.append(X)
        return forward(spec, params, X)

    monkeypatch.setattr(sweeps, "forward", spy)
    fastnn.sweep(X, Y, {"l2": [0.0, 0.1]}, folds=4, epochs=1)
    assert [len(held) for held in rows] == [6] * 8
    assert np.array_equal(np.sort(np.concatenate(rows[:4]), axis=0), np.sort(X, axis=0))


def test_numbers_of_an_array_are_not_made_objects():
    class Frame:
        shape = X.shape

        def __len__(self):
            return len(X)

        def __array__(self, dtype=None, copy=None):
            assert dtype is None or np.dtype(dtype).kind != "O"
            return X.astype(dtype or X.dtype)

    one, other = (fastnn.sweep(samples, Y, {"l2": [0.0]}, epochs=1) for samples in (X, Frame()))
    assert one.networks[0].params.tobytes() == other.networks[0].params.tobytes()


def test_ctrl_c_returns_what_is_finished(monkeypatch):
    """Runs of the first call, and of the second those that were finished, whichever they are."""
    grid = {"hidden": [(4,), (5,)]}
    whole = fastnn.sweep(X, Y, grid, seeds=3, folds=2, epochs=4)
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        many = fit_many(*args, **kwargs)
        return many[[1, 4]] if len(calls) == 2 else many

    monkeypatch.setattr(sweeps, "fit_many", interrupted)
    with pytest.warns(RuntimeWarning, match="interrupted: 8 of 12 runs are finished"):
        part = fastnn.sweep(X, Y, grid, seeds=3, folds=2, epochs=4)
    assert part.records == [record for k, record in enumerate(whole.records) if k < 6 or k in (7, 10)]
    assert [row["runs"] for row in sorted(part.summary(), key=lambda row: row["setting"])] == [6, 2]


@pytest.mark.parametrize("noted", [True, False])
def test_ctrl_c_between_two_calls_loses_nothing(noted, monkeypatch):
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if noted:
            many = fit_many(*args, **kwargs)
            signal.raise_signal(signal.SIGINT)
            return many
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_many(*args, **kwargs)

    monkeypatch.setattr(sweeps, "fit_many", interrupted)
    with pytest.warns(RuntimeWarning, match="interrupted: 3 of 6 runs are finished"):
        assert len(fastnn.sweep(X, Y, {"hidden": [(4,), (5,)]}, seeds=3, epochs=4).networks) == 3
    assert len(calls) == (1 if noted else 2)
