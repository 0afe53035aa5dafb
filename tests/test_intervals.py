"""Conformal intervals and prediction sets: against MAPIE and plain loops, their coverage, and on disk."""

import numpy as np
import pytest

import fastnn
from fastnn.uncertainty import regression

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (120, 2))
Y = np.sin(2 * X[:, 0]) + 0.3 * (1 + abs(X[:, 1])) * RNG.normal(size=120)
NEW = RNG.uniform(-2, 2, (50, 2))
COUNTS = RNG.multinomial(120, np.full(120, 1 / 120), size=24)
SETTINGS = {"epochs": 30, "optimizer": fastnn.Adam(0.02), "rng": 0, "specialize": False}
SPEC = fastnn.MLP((2, 6, 1)).spec


@pytest.fixture(scope="module")
def net():
    net = fastnn.MLP(SPEC.sizes, rng=0)
    net.fit(X[:60], Y[:60], **SETTINGS)
    return net


@pytest.fixture(scope="module")
def many():
    return fastnn.fit_many(SPEC, X, Y, members=24, sample_weight=COUNTS, **SETTINGS)


@pytest.fixture(scope="module")
def quantile_net():
    net = fastnn.MLP((2, 6, 3), rng=0)
    net.fit(X[:60], Y[:60], loss="pinball", quantiles=[0.1, 0.5, 0.9], **SETTINGS)
    return net


def as_sklearn(predict):
    from sklearn.base import BaseEstimator, RegressorMixin

    class Fitted(RegressorMixin, BaseEstimator):
        fitted_ = True

        def fit(self, X, y):
            return self

        def predict(self, X):
            return predict(X)

    return Fitted().fit(X, Y)


@pytest.mark.parametrize(("coverage", "rank"), [(0.5, 30), (0.8, 48), (0.9, 54), (0.95, 57)])  # ceil(61 * coverage) - 1
def test_absolute_errors_are_ranked(net, many, coverage, rank):
    for model, predict in ((net, net.predict), (many, many.mean)):
        sure = fastnn.intervals(model, X[60:], Y[60:], coverage=coverage)
        margin = np.sort(abs(Y[60:] - predict(X[60:])[:, 0]))[rank]
        np.testing.assert_allclose(sure.margin, [margin], rtol=1e-12)
        middle = predict(NEW)
        np.testing.assert_allclose(sure.predict(NEW), [middle - margin, middle, middle + margin], rtol=1e-12)


def test_quantiles_at_the_ends_are_moved_alike(quantile_net):
    outputs = quantile_net.predict(X[60:])
    margin = np.sort(np.maximum(outputs[:, 0] - Y[60:], Y[60:] - outputs[:, 2]))[48]  # the 49th, ceil(61 * 0.8)
    sure = fastnn.intervals(quantile_net, X[60:], Y[60:], coverage=0.8, method="quantile")
    ends = quantile_net.predict(NEW) + [-margin, 0, margin]
    np.testing.assert_allclose(np.hstack(sure.predict(NEW)), ends, rtol=1e-12)


def test_between_four_quantiles_lies_the_mean_of_the_middle_two():
    net = fastnn.MLP((1, 4), rng=0)
    net.weights[0][:], net.biases[0][:] = 0, [1, 2, 4, 9]
    _, middle, _ = fastnn.intervals(net, X[:, :1], Y, method="quantile").predict(NEW[:, :1])
    np.testing.assert_array_equal(middle, np.full((50, 1), 3.0))


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95])
def test_absolute_errors_give_the_intervals_of_mapie(net, coverage):
    mapie = pytest.importorskip("mapie.regression")
    theirs = mapie.SplitConformalRegressor(as_sklearn(lambda X: net.predict(X)[:, 0]), coverage, prefit=True)
    middle, ends = theirs.conformalize(X[60:], Y[60:]).predict_interval(NEW)
    low, mine, high = fastnn.intervals(net, X[60:], Y[60:], coverage=coverage).predict(NEW)
    np.testing.assert_allclose(mine[:, 0], middle, rtol=1e-12)
    np.testing.assert_allclose(np.hstack([low, high]), ends[:, :, 0], rtol=1e-10, atol=1e-12)


def test_quantiles_give_the_intervals_of_mapie(quantile_net):
    mapie = pytest.importorskip("mapie.regression")
    columns = [as_sklearn(lambda X, j=j: quantile_net.predict(X)[:, j]) for j in (0, 2, 1)]
    theirs = mapie.ConformalizedQuantileRegressor(columns, 0.8, prefit=True).conformalize(X[60:], Y[60:])
    _, ends = theirs.predict_interval(NEW, symmetric_correction=True)
    low, middle, high = fastnn.intervals(quantile_net, X[60:], Y[60:], coverage=0.8, method="quantile").predict(NEW)
    np.testing.assert_allclose(np.hstack([low, high]), ends[:, :, 0], rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(middle[:, 0], quantile_net.predict(NEW)[:, 1])


def test_normalised_widths_follow_the_members(many):
    sure = fastnn.intervals(many, X[:40], Y[:40], coverage=0.8, method="normalised")
    scores = np.sort(abs(Y[:40] - many.mean(X[:40])[:, 0]) / many.std(X[:40])[:, 0])
    low, middle, high = sure.predict(NEW)
    np.testing.assert_allclose(sure.margin, scores[32])  # the 33rd, ceil(41 * 0.8)
    np.testing.assert_allclose(middle, many.mean(NEW))
    np.testing.assert_allclose((high - low) / 2, sure.margin * many.std(NEW))


@pytest.mark.parametrize("floor", [1e-6, 0.7])
def test_normalised_widths_follow_the_noise(tmp_path, floor):
    noisy = fastnn.MLP((2, 6, 2), rng=0)
    given = {} if floor == 1e-6 else {"min_variance": floor}
    sure = fastnn.intervals(noisy, X[80:], Y[80:], coverage=0.8, method="normalised", **given)
    mean, log_variance = noisy.predict(X[80:]).T
    scores = np.sort(abs(Y[80:] - mean) / np.sqrt(np.exp(log_variance) + floor))
    np.testing.assert_allclose(sure.margin, scores[32])  # the 33rd, ceil(41 * 0.8)
    sure.save(tmp_path / "sure.npz")
    low, middle, high = fastnn.Intervals.load(tmp_path / "sure.npz").predict(NEW)
    mean, log_variance = noisy.predict(NEW).T
    np.testing.assert_array_equal(middle[:, 0], mean)
    np.testing.assert_allclose((high - low)[:, 0] / 2, sure.margin * np.sqrt(np.exp(log_variance) + floor))


def test_a_log_variance_far_below_the_floor_says_nothing():
    noisy = fastnn.MLP((2, 2), rng=0)
    noisy.weights[0][:, 1], noisy.biases[0][1] = [1e3, 0], -1e4
    sure = fastnn.intervals(noisy, X, Y, method="normalised", min_variance=[0.01])
    low, _, high = sure.predict(NEW)
    error = np.sort(abs(Y - noisy.predict(X)[:, 0]))[108]  # the 109th, ceil(121 * 0.9)
    np.testing.assert_allclose(high - low, 2 * error)


def test_the_jackknife_is_that_of_plain_loops(many):
    low, middle, high = fastnn.intervals(many, X, Y, coverage=0.9, method="jackknife+", sample_weight=COUNTS).predict(
        NEW
    )
    seen, new = many.predict(X)[:, :, 0], many.predict(NEW)[:, :, 0]
    lows, highs = [], []
    for i in range(120):
        out = COUNTS[:, i] == 0
        error, without = abs(Y[i] - seen[out, i].mean()), new[out].mean(axis=0)
        lows.append(without - error)
        highs.append(without + error)
    np.testing.assert_allclose(low[:, 0], np.sort(lows, axis=0)[11])  # the 12th, floor(121 * 0.1)
    np.testing.assert_allclose(high[:, 0], np.sort(highs, axis=0)[108])  # the 109th, ceil(121 * 0.9)
    np.testing.assert_allclose(middle, many.mean(NEW))


def test_a_member_of_the_jackknife_left_out_what_weighed_nothing_not_what_weighed_little(many):
    fractions = COUNTS / (4 * COUNTS.max())
    expected, sure = (
        fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=weights) for weights in (COUNTS, fractions)
    )
    np.testing.assert_array_equal(sure.margin, expected.margin)


def test_the_jackknife_takes_as_many_samples_at_once_as_memory_allows(many, monkeypatch):
    sure = fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=COUNTS)
    whole = sure.predict(NEW)
    monkeypatch.setattr(regression, "_AT_ONCE", 7 * 120)  # seven of the 50 new ones
    np.testing.assert_allclose(sure.predict(NEW), whole, rtol=1e-12)


def test_folds_of_a_sweep_give_cv_plus():
    result = fastnn.sweep(X, Y, {"hidden": [(6,)]}, folds=4, epochs=30, optimizer=fastnn.Adam(0.02))
    many, weights = result.members(0)
    assert len(many) == 4
    assert (weights == 0).sum(axis=0).tolist() == [1] * 120
    low, _, high = fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=weights).predict(X)
    errors = [abs(Y[i] - many.predict(X[i : i + 1])[weights[:, i] == 0].item()) for i in range(120)]
    sure = fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=weights)
    np.testing.assert_allclose(sure.margin[:, 0], errors, rtol=1e-9)
    assert (low < high).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9])
def test_as_many_targets_are_covered_as_promised(net, coverage):
    rng, hits = np.random.default_rng(1), []
    for _ in range(200):
        x = rng.uniform(-2, 2, (140, 2))
        y = np.sin(2 * x[:, 0]) + rng.standard_cauchy(140)
        low, _, high = fastnn.intervals(net, x[:40], y[:40], coverage=coverage).predict(x[40:])
        hits.append(((low[:, 0] <= y[40:]) & (y[40:] <= high[:, 0])).mean())
    error = np.std(hits) / np.sqrt(len(hits))
    assert coverage - 4 * error <= np.mean(hits) <= coverage + 1 / 41 + 4 * error


@pytest.fixture(scope="module")
def classifier():
    net = fastnn.MLP((2, 6, 4), output_activation="softmax", rng=0)
    net.fit(X[:60], LABELS[:60], loss="cross_entropy", **SETTINGS)
    return net


LABELS = (X[:, 0] > 0) + 2 * (X[:, 1] + 0.7 * RNG.normal(size=120) > 0)


def test_sets_are_those_of_plain_loops(classifier):
    sets = fastnn.prediction_sets(classifier, X[60:], LABELS[60:], coverage=0.8)
    scores = []
    for p, label in zip(classifier.predict(X[60:]), LABELS[60:], strict=True):
        scores.append(p[p >= p[label]].sum())
    threshold = np.sort(scores)[48]  # the 49th, ceil(61 * 0.8)
    assert sets.threshold == pytest.approx(threshold, rel=1e-12)
    for p, found in zip(classifier.predict(NEW), sets.predict(NEW), strict=True):
        expected = [p[p >= one].sum() <= threshold * (1 + 1e-12) or one == p.max() for one in p]
        np.testing.assert_array_equal(found, expected)


def test_sets_of_an_ensemble_are_those_of_the_mean_probabilities(classifier):
    other = fastnn.MLP(classifier.spec.sizes, output_activation="softmax", rng=1)
    both = fastnn.Ensemble(classifier.spec, np.stack([classifier.params, other.params]))
    sets = fastnn.prediction_sets(both, X[60:], LABELS[60:], coverage=0.8)
    scores = [p[p >= p[label]].sum() for p, label in zip(both.mean(X[60:]), LABELS[60:], strict=True)]
    assert sets.threshold == pytest.approx(np.sort(scores)[48], rel=1e-12)
    for p, found in zip(both.mean(NEW), sets.predict(NEW), strict=True):
        expected = [p[p >= one].sum() <= sets.threshold * (1 + 1e-12) or one == p.max() for one in p]
        np.testing.assert_array_equal(found, expected)


def test_rounding_leaves_no_class_outside_the_set_that_it_was_calibrated_on(classifier):
    small = fastnn.MLP(classifier.spec.sizes, output_activation="softmax", dtype="float32")
    small.params[:] = classifier.params
    for least in range(60, 121):
        found = fastnn.prediction_sets(small, X, LABELS, coverage=least / 121).predict(X)
        assert found[np.arange(120), LABELS].sum() >= least


def test_sets_are_not_made_of_anything(classifier):
    with pytest.raises(
        TypeError, match="model must be one network or several with a softmax output; got <MLP: 2 -> 6 tanh -> 1"
    ):
        fastnn.prediction_sets(fastnn.MLP((2, 6, 1)), X, LABELS)
    with pytest.raises(ValueError, match=r"y must have shape \(120,\), a class for each row of X; got \(120, 4\)"):
        fastnn.prediction_sets(classifier, X, np.eye(4)[LABELS])
    with pytest.raises(ValueError, match="model must have members; got an ensemble of none"):
        fastnn.prediction_sets(fastnn.Ensemble(classifier.spec, np.empty((0, classifier.spec.n_params))), X, LABELS)


def test_sets_hold_the_class_as_often_as_promised(classifier):
    rng, hits = np.random.default_rng(1), []
    for _ in range(100):
        x = rng.uniform(-2, 2, (140, 2))
        labels = (x[:, 0] > 0) + 2 * (x[:, 1] + 0.7 * rng.normal(size=140) > 0)
        found = fastnn.prediction_sets(classifier, x[:40], labels[:40], coverage=0.8).predict(x[40:])
        hits.append(found[np.arange(100), labels[40:]].mean())
    assert np.mean(hits) >= 0.8 - 4 * np.std(hits) / 10
    assert found.sum(axis=1).min() >= 1


def test_further_training_leaves_what_was_promised():
    """Of the given network, or of a member."""
    rng, spec = np.random.default_rng(1), fastnn.MLP((2, 6, 4), output_activation="softmax").spec
    one, several = fastnn.MLP((2, 6, 1), rng=0), fastnn.Ensemble(SPEC, rng.normal(size=(2, SPEC.n_params)))
    classes = fastnn.Ensemble(spec, rng.normal(size=(2, spec.n_params)))
    made = fastnn.intervals(one, X, Y), fastnn.laplace(one, X, Y), fastnn.intervals(several, X, Y)
    made = *made, fastnn.prediction_sets(classes, X, LABELS)
    before = [np.array(sure.predict(NEW)) for sure in made]
    for given in (one, several, classes):
        given.params[:] = 0.1
    for sure, expected in zip(made, before, strict=True):
        np.testing.assert_array_equal(sure.predict(NEW), expected)


def test_what_is_saved_comes_back(net, many, quantile_net, classifier, tmp_path):
    path = tmp_path / "sure.npz"
    for sure in (
        fastnn.intervals(net, X, Y),
        fastnn.intervals(net.with_domain(X, outside="nan"), X, Y),
        fastnn.intervals(many, X, Y, method="normalised"),
        fastnn.intervals(fastnn.MLP((2, 2), rng=0), X, Y, method="normalised", min_variance=0.5),
        fastnn.intervals(quantile_net, X, Y, method="quantile"),
        fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=COUNTS),
    ):
        sure.save(path)
        again = fastnn.Intervals.load(path)
        assert repr(again) == repr(sure) == f"<Intervals: {sure.method}, coverage 0.9, of {sure.model!r}>"
        np.testing.assert_array_equal(again.predict(NEW), sure.predict(NEW))
        np.testing.assert_array_equal(again.predict(5 * NEW), sure.predict(5 * NEW))  # outside a domain
    with pytest.raises(ValueError, match=r"it holds Intervals, which fastnn.Intervals.load reads"):
        fastnn.PredictionSets.load(path)
    sets = fastnn.prediction_sets(classifier.with_domain(X, outside="clip"), X, LABELS)
    sets.save(path)
    again = fastnn.PredictionSets.load(path)
    assert repr(again) == repr(sets) == f"<PredictionSets: coverage 0.9, of {sets.model!r}>"
    np.testing.assert_array_equal(again.predict(5 * NEW), sets.predict(5 * NEW))
    net.save(path)
    with pytest.raises(ValueError, match=r"path must be what fastnn\.Intervals or fastnn\.PredictionSets saved"):
        fastnn.Intervals.load(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coverage": 1.0}, r"coverage must be a number in \(0, 1\); got 1.0"),
        ({"coverage": 0.999}, "X must have at least 999 rows for a coverage of 0.999; got 120"),
        ({"coverage": 0.9999}, "X must have at least 9999 rows for a coverage of 0.9999; got 120"),
        ({"method": "bootstrap"}, "method must be one of"),
        ({"method": "normalised"}, "model must be an ensemble, or a network of means and log-variances"),
        ({"method": "quantile"}, "model must be a network with at least two quantiles"),
        ({"sample_weight": COUNTS}, "sample_weight must be None for method='absolute'"),
        ({"min_variance": 0.0}, "min_variance must be a finite number above 0; got 0.0"),
    ],
)
def test_bad_arguments_are_refused(net, arguments, message):
    with pytest.raises(ValueError, match=message):
        fastnn.intervals(net, X, Y, **arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["absolute", "normalised", "quantile", "jackknife+"])
def test_rounding_leaves_no_tied_targets_outside(method, dtype):
    rng, x, least = np.random.default_rng(0), np.zeros((50, 1)), 41  # ceil(51 * 0.8)
    for _ in range(40):
        y, model, settings = 0.1 * rng.integers(0, 4, 50), fastnn.MLP((1, 2), dtype=dtype, rng=0), {}
        model.params[:] = 0, 0, *np.sort(rng.uniform(0, 9, 2))  # the outputs, whatever the sample
        if method == "jackknife+":
            model = fastnn.Ensemble(fastnn.MLP((1, 1), dtype=dtype).spec, np.c_[np.zeros(9), rng.normal(0, 3, 9)])
            settings = {"sample_weight": np.zeros((9, 50))}  # all left out all
        if method == "absolute":
            y = np.c_[y, y]
        low, _, high = fastnn.intervals(model, x, y, coverage=0.8, method=method, **settings).predict(x)
        y = y.reshape(50, -1)
        assert (((low <= y) & (y <= high)).sum(axis=0) >= least).all()


@pytest.mark.parametrize("method", ["absolute", "normalised"])
def test_one_row_at_a_time_leaves_no_tied_targets_outside_either(method):
    rng, x, least = np.random.default_rng(0), np.zeros((50, 1)), 41  # ceil(51 * 0.8)
    for _ in range(40):
        y = 0.1 * rng.integers(-9, 10, 50)
        many = fastnn.Ensemble(fastnn.MLP((1, 1)).spec, np.c_[np.zeros(57), rng.normal(size=57)])
        low, _, high = fastnn.intervals(many, x, y, coverage=0.8, method=method).predict(x[:1])
        assert ((low[0] <= y) & (y <= high[0])).sum() >= least


def test_the_least_coverage_is_that_of_the_smallest_error(net):
    assert fastnn.intervals(net, X, Y, coverage=1e-12).margin == np.abs(Y - net.predict(X)[:, 0]).min()
    fourteenth = np.sort(np.abs(Y - net.predict(X)[:, 0])[:24])[13]
    assert fastnn.intervals(net, X[:24], Y[:24], coverage=0.56).margin == fourteenth  # 25 * 0.56, but for rounding


def test_a_classifier_is_refused():
    classifier = fastnn.MLP((2, 4), output_activation="softmax")
    with pytest.raises(ValueError, match=r"model must not be a classifier, .*; got <MLP: 2 -> 4 softmax; "):
        fastnn.intervals(classifier, X, Y)


@pytest.mark.parametrize("method", ["absolute", "sets", "laplace"])
def test_a_network_that_diverged_is_not_calibrated(net, classifier, method):
    lost = (classifier if method == "sets" else net).copy()
    lost.params[0] = np.nan
    calibrate = {"absolute": fastnn.intervals, "sets": fastnn.prediction_sets, "laplace": fastnn.laplace}[method]
    with pytest.raises(
        ValueError, match=r"must have finite outputs for all of X; got nan|params must be finite; got nan"
    ):
        calibrate(lost, NEW, np.zeros(len(NEW), int) if method == "sets" else np.zeros((len(NEW), lost.spec.n_out)))


def test_a_sample_without_probabilities_may_be_of_any_class(classifier):
    sets = fastnn.prediction_sets(classifier, NEW, np.zeros(len(NEW), int))
    unknown = np.full((1, classifier.spec.n_in), np.nan)
    np.testing.assert_array_equal(sets.predict(unknown), np.ones((1, classifier.spec.n_out), bool))


def test_a_class_that_is_all_but_certain_stands_alone():
    net = fastnn.MLP.from_params(fastnn.MLP((1, 3), output_activation="softmax").spec, [1, 0, -1, 0, 0, 0])
    sets = fastnn.prediction_sets(net, np.ones((9, 1)), np.zeros(9, int))
    np.testing.assert_array_equal(sets.predict([[100], [-60]]), [[True, False, False], [False, False, True]])


def test_one_target_at_a_time_has_quantiles(quantile_net):
    with pytest.raises(ValueError, match=r"y must have shape \(n,\) or \(n, 1\) for method='quantile'; got \(60, 3\)"):
        fastnn.intervals(quantile_net, X[:60], np.tile(Y[:60].reshape(60, -1)[:, :1], 3), method="quantile")


def test_members_that_agree_somewhere_have_no_widths():
    many = fastnn.Ensemble(fastnn.MLP((1, 1), bias=False).spec, [[1.0], [2.0]])
    with pytest.raises(ValueError, match="model must have members that differ everywhere for method='normalised'"):
        fastnn.intervals(many, np.arange(20.0)[:, None], np.zeros(20), method="normalised")  # both are 0 at 0


def test_quantiles_in_the_wrong_order_are_refused(quantile_net):
    turned = quantile_net.copy()
    turned.weights[-1][:], turned.biases[-1][:] = quantile_net.weights[-1][:, ::-1], quantile_net.biases[-1][::-1]
    with pytest.raises(ValueError, match="model must have its lowest quantile as first output"):
        fastnn.intervals(turned, NEW, np.zeros(len(NEW)), method="quantile")


def test_quantiles_may_cross_for_half_of_the_rows():
    crossing = fastnn.MLP((1, 3), bias=False)
    crossing.params[:] = 1, 0, -1  # the first output is above the last where x is above 0
    x, zeros = np.repeat([1.0, -1.0], 20)[:, np.newaxis], np.zeros(40)
    half = fastnn.intervals(crossing, x, zeros, method="quantile")
    assert half.margin == 1
    x[20] = 1
    with pytest.raises(ValueError, match="got outputs in the other order for 21 of 40 rows of X"):
        fastnn.intervals(crossing, x, zeros, method="quantile")


def test_the_jackknife_needs_samples_left_out(many):
    with pytest.raises(
        ValueError, match="sample_weight must be 0 for each sample in at least one member; got none for"
    ):
        fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=np.ones((24, 120)))
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(24, 120\), a row for each member; got"):
        fastnn.intervals(many, X, Y, method="jackknife+", sample_weight=COUNTS.T)
    with pytest.raises(ValueError, match="sample_weight must be what fit_many was given; got None"):
        fastnn.intervals(many, X, Y, method="jackknife+")
