"""Each figure shows the numbers it was given, with titles and units, and can be read in grey."""

import warnings

import numpy as np
import pytest

import fastnn

matplotlib = pytest.importorskip("matplotlib")
from matplotlib.axes import Axes  # noqa: E402 - after importorskip()
from matplotlib.colors import to_rgb  # noqa: E402 - after importorskip()
from matplotlib.figure import Figure  # noqa: E402 - after importorskip()

from fastnn import plots  # noqa: E402 - after importorskip()

PLANE = fastnn.MLP((2, 1), output_activation="sigmoid", rng=0)
MASKED = np.ma.array([1.0, 2.0], mask=[False, True])
LIGHTNESS = np.array([0.2126, 0.7152, 0.0722])


class Foreign:
    """An array of another library that does not want to become NumPy's, as a tensor that requires gradients."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("detach it first")


@pytest.fixture
def ax():
    return Figure().add_subplot()


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_styles_differ_in_grey_and_without_any_colour():
    for k, style in enumerate(plots.STYLES):
        for other in plots.STYLES[:k]:
            assert style["linestyle"] != other["linestyle"]
            assert style["marker"] != other["marker"]
    first, second = (LIGHTNESS @ to_rgb(style["color"]) for style in plots.STYLES[:2])
    assert abs(first - second) > 0.3


def test_loss_curves(ax):
    losses = {"a": [4.0, 2.0, 1.0], "b": [3.0, 0.0]}
    assert plots.loss_curves(losses, ax, unit="iteration") is ax
    assert ax.get_yscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("iteration", "loss")
    assert legend_of(ax) == ["a", "b"]
    drawn = [line.get_ydata() for line in ax.get_lines()]
    np.testing.assert_array_equal(drawn[0], losses["a"])
    np.testing.assert_array_equal(drawn[1], [3.0, np.nan])  # 0 has no place on a logarithmic axis


def test_loss_curves_within_a_decade_have_plain_numbers(ax):
    plots.loss_curves({"a": [0.9, 0.5, 0.4]}, ax)
    ax.figure.canvas.draw()
    shown = [text.get_text() for text in ax.get_yticklabels(which="both")]
    assert "0.6" in shown
    assert not any("10^" in text for text in shown)


def test_network_diagram_has_an_edge_for_each_weight(ax):
    net = fastnn.MLP((3, 4, 2), rng=0)
    plots.network_diagram(net, ax, input_names=["x", "y", "z"])
    assert len(ax.get_lines()) == 3 * 4 + 4 * 2
    weights = np.concatenate([layer.ravel() for layer in net.weights])
    dashed = np.array([line.get_linestyle() != "-" for line in ax.get_lines()])
    np.testing.assert_array_equal(dashed, weights < 0)
    widths = np.array([line.get_linewidth() for line in ax.get_lines()])
    assert (np.diff(widths[np.argsort(abs(weights))]) >= 0).all()
    texts = [text.get_text() for text in ax.texts]
    assert texts[:3] == ["x", "y", "z"]
    assert "tanh\n4" in texts


def test_network_diagram_of_a_wide_network_says_what_it_leaves_out(ax):
    plots.network_diagram(fastnn.MLP((64, 100, 10), rng=0), ax, max_units=5)
    assert len(ax.get_lines()) == 5 * 5 + 5 * 5
    assert any("first 5 of 100" in text.get_text() for text in ax.texts)


def test_network_diagram_of_zero_weights(ax):
    net = fastnn.MLP((2, 1), rng=0)
    net.params[:] = 0
    plots.network_diagram(net, ax)
    assert len(ax.get_lines()) == 2


def test_outputs_against_targets(ax):
    plots.outputs_against_targets({"a": [0.1, 0.9], "b": [0.2, 0.8]}, [0, 1], ax, names=["p", "q"])
    assert legend_of(ax) == ["target", "a", "b"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["p", "q"]
    points = [collection.get_offsets()[:, 1] for collection in ax.collections[1:]]
    np.testing.assert_allclose(points, [[0.1, 0.9], [0.2, 0.8]])


def test_sample_images_frame_what_is_wrong(ax):
    images = np.random.default_rng(0).random((5, 8, 8))
    plots.sample_images(images, [0, 1, 2, 3, 4], [0, 1, 7, 3, 4], ax, columns=3)
    assert len(ax.images) == 5
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2, is 7", "3", "4"]
    assert [text.get_fontweight() for text in ax.texts].count("bold") == 1


def test_time_per_iteration_tells_the_ratio(ax):
    plots.time_per_iteration({"slow": 12e-6, "fast": 0.1e-6}, ax)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "microseconds"
    assert [text.get_text() for text in ax.texts] == ["slow: 12 µs", "fast: 0.1 µs, 120x faster"]


def test_without_axes_a_new_figure_is_made():
    matplotlib.use("agg")
    from matplotlib import pyplot

    ax = plots.loss_curves({"a": [2.0, 1.0]})
    assert isinstance(ax, Axes)
    assert ax.get_legend() is None
    pyplot.close(ax.figure)


def test_spread_marks_the_median_and_counts_what_is_lost(ax):
    values = [1.0, 2.0, 3.0, np.inf, np.nan]
    plots.spread(values, ax, unit="r2", marked={"linear": 1.5})
    assert ax.get_xlabel() == "r2"
    assert ax.get_title() == "Spread over 5 networks, 2 of them not finite"
    assert sum(patch.get_height() for patch in ax.containers[0]) == 3
    assert [text for text in legend_of(ax) if text.startswith(("median", "linear"))] == ["median: 2", "linear: 1.5"]


def test_predicted_against_true(ax):
    true, predicted = [1.0, 2.0, 3.0], [1.5, 2.0, 2.5]
    plots.predicted_against_true(true, predicted, ax, name="price")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.column_stack([true, predicted]))
    assert ax.get_title() == "Predicted and true: r2 0.750, typical error 0.408"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("price, true", "price, predicted")


def test_constant_true_values_have_no_r2(ax):
    plots.predicted_against_true([0.1, 0.1, 0.1], [0.1, 0.2, 0.3], ax)
    assert ax.get_title() == "Predicted and true: r2 nan, typical error 0.129"


def test_a_column_is_a_vector(ax):
    column = np.array([[1.5], [2.0], [2.5]])
    plots.predicted_against_true([1.0, 2.0, 3.0], column, ax)
    assert ax.get_title() == "Predicted and true: r2 0.750, typical error 0.408"
    plots.outputs_against_targets({"targets": column}, column, ax)
    plots.coverage([0.5, 0.8, 0.9], {"levels": column / 3}, ax)
    plots.confusion(column > 2, [False, False, False], ax)
    assert ax.get_title() == "Classes: 66.7% correct"
    plots.decision_regions(PLANE, np.c_[column, column], column > 2, ax, steps=9)


def test_confusion_counts(ax):
    plots.confusion(["a", "a", "b", "b"], ["a", "b", "b", "b"], ax, classes=["a", "b", "c"])
    counts = {text.get_position()[::-1]: text.get_text() for text in ax.texts}
    assert counts == {(0, 0): "1", (0, 1): "1", (1, 1): "2"}
    assert ax.get_title() == "Classes: 75.0% correct"


def test_weight_images_show_the_largest_on_one_scale(ax):
    net = fastnn.MLP((6, 4, 1), rng=0)
    net.weights[0][:, 2] = 10
    plots.weight_images(net, ax, shape=(2, 3), units=3)
    assert len(ax.images) == 3
    np.testing.assert_array_equal(ax.images[0].get_array(), np.full((2, 3), 10.0))
    assert {image.norm.vmax for image in ax.images} == {10.0}
    with pytest.raises(ValueError, match="6 pixels"):
        plots.weight_images(net, shape=(2, 2))


def test_images_of_weights_can_be_read_in_grey():
    from fastnn.plots.style import DARK_TO_LIGHT

    lightness = matplotlib.colormaps[DARK_TO_LIGHT](np.linspace(0, 1, 9))[:, :3] @ LIGHTNESS
    assert (np.diff(lightness) > 0.05).all()


def test_decision_regions_are_the_networks_answers(ax):
    net = fastnn.MLP((2, 2), output_activation="softmax", rng=0)
    net.params[:] = [-1, 1, 0, 0, 0, 0]  # class 1 where the first input is positive
    X, y = np.array([[-1.0, 0], [1, 0], [-1, 1], [1, 1]]), np.array([0, 1, 0, 1])
    plots.decision_regions(net, X, y, ax, names=("length", "width"), steps=20)
    regions = ax.images[0].get_array()
    assert (regions[:, :10] == 0).all()
    assert (regions[:, 10:] == 1).all()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("length", "width")
    assert legend_of(ax) == ["class 0", "class 1"]
    with pytest.raises(ValueError, match="two inputs"):
        plots.decision_regions(fastnn.MLP((3, 1), rng=0), X, y)


@pytest.mark.slow
def test_animation_of_the_tutorial(tmp_path):
    image = pytest.importorskip("PIL.Image")
    net = fastnn.MLP.tutorial(rng=1)
    before = net.params.copy()
    X, y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]]), np.array([[0.0], [1], [1], [0]])
    plots.learning(net, X, y, tmp_path / "a.gif", frames=4)
    np.testing.assert_array_equal(net.params, before)
    with image.open(tmp_path / "a.gif") as film:
        assert film.n_frames == 4


def test_animation_follows_an_undisturbed_run():
    from fastnn.plots import animation

    X, y = np.eye(3), np.array([[0.0], [1], [0]])
    net, other = (fastnn.MLP((3, 17, 1), rng=1) for _ in range(2))  # of no kernel of its own
    rule = fastnn.SGD(0.1, momentum=0.5)
    losses, steps = animation._train(net, X, y, np.array([0, 1, 5, 20]), "sse", rule)
    history = other.fit(X, y, epochs=20, loss="sse", optimizer=rule, shuffle=False)
    np.testing.assert_array_equal(losses, history.loss)
    np.testing.assert_array_equal(steps[-1][1].params, other.params)


def test_intervals_are_sorted_by_the_input_and_count_the_targets(ax):
    x, middle = np.array([2.0, 0.0, 1.0]), np.array([[20.0], [0.0], [10.0]])
    plots.intervals(x, middle - 1, middle, middle + 2, ax, targets=[21.5, 5.0, 9.5], name="depth")
    np.testing.assert_array_equal(ax.get_lines()[0].get_xydata(), [[0, 0], [1, 10], [2, 20]])
    band, inside, outside = ax.collections
    assert {(1.0, 9.0), (1.0, 12.0), (0.0, -1.0)} <= {tuple(place) for place in band.get_paths()[0].vertices}
    np.testing.assert_array_equal(inside.get_offsets(), [[2, 21.5], [1, 9.5]])
    np.testing.assert_array_equal(outside.get_offsets(), [[0, 5]])
    assert (ax.get_title(), ax.get_xlabel()) == ("Intervals: 66.7% of 3 targets inside", "depth")
    assert legend_of(ax) == ["interval", "prediction", "target inside", "target outside"]


def test_intervals_count_the_targets_that_are_known(ax):
    low = [0, np.nan, 0, -np.inf]
    plots.intervals(range(4), low, np.ones(4), [2, 2, 2, np.inf], ax, targets=[5, 1, np.nan, 7])
    assert ax.get_title() == "Intervals: 50.0% of 2 targets inside"
    assert [len(dots.get_offsets()) for dots in ax.collections[1:]] == [1, 1]


def test_intervals_without_targets(ax):
    assert plots.intervals([0, 1], [0, 1], [1, 2], [2, 3], ax).get_title() == "Intervals"


@pytest.mark.parametrize("shape", ["classes", "one", "column"])
def test_reliability_is_the_share_of_right_classes(ax, shape):
    chance = np.array([0.1, 0.1, 0.1, 0.1, 0.95, 0.95])  # of the second class
    given = {"classes": np.stack([1 - chance, chance], axis=1), "one": chance, "column": chance[:, None]}[shape]
    plots.reliability([0, 0, 1, 1, 1, 1], given, ax)
    _, line = ax.get_lines()
    np.testing.assert_allclose(line.get_xydata(), [[(4 * 0.9 + 2 * 0.95) / 6, 4 / 6]])
    assert ax.get_title() == f"Reliability: calibration error {abs((3.6 + 1.9) / 6 - 4 / 6):.3f}"


def test_reliability_of_bins_apart(ax):
    plots.reliability([0, 1, 2], [[1, 0, 0], [0.5, 0.25, 0.25], [0.3, 0.3, 0.4]], ax, bins=2)
    np.testing.assert_allclose(ax.get_lines()[1].get_xydata(), [[0.4, 1], [0.75, 0.5]])


def test_coverage(ax):
    plots.coverage([0.5, 0.9], {"split": [0.52, 0.91], "CV+": [0.6, 0.95]}, ax)
    drawn = [line.get_xydata().tolist() for line in ax.get_lines()]
    assert drawn == [[[0, 0], [1, 1]], [[0.5, 0.52], [0.9, 0.91]], [[0.5, 0.6], [0.9, 0.95]]]
    assert legend_of(ax) == ["as asked for", "split", "CV+"]
    assert ax.get_xlim() == ax.get_ylim()


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: plots.intervals([1, 2], [0], [1], [2], ax), "low must be as long as x, 2; got 1"),
        (lambda ax: plots.intervals([1], *np.ones((3, 1, 2)), ax), r"low must have shape \(n,\) or \(n, 1\)"),
        (lambda ax: plots.intervals([1], [0], [1], [2], ax, targets=[1, 2]), "targets must be as long as x, 1; got 2"),
        (lambda ax: plots.reliability([1, 0], [[0.2, 0.8]], ax), "a row for each of the 2 labels; got 1"),
        (lambda ax: plots.reliability([1], [[-3.0, 8.0]], ax), "probabilities must lie between 0 and 1; got -3 to 8"),
        (lambda ax: plots.reliability([1], [[np.nan, np.nan]], ax), "probabilities must lie between 0 and 1; got nan"),
        (lambda ax: plots.reliability([-1, 1], [0.2, 0.8], ax), "labels must hold classes among 0, 1; got -1"),
        (lambda ax: plots.reliability([3], [[0.2, 0.3, 0.5]], ax), "labels must hold classes among 0, 1, 2; got 3"),
        (lambda ax: plots.reliability([1], [[0.2, 0.8]], ax, bins=0), "bins must be an integer of at least 1; got 0"),
        (
            lambda ax: plots.coverage([0.8, 0.9], {"absolute": [0.8]}, ax),
            "absolute of found must be as long as levels, 2; got 1",
        ),
        (lambda ax: plots.coverage([50, 90], {"a": [0.5, 0.9]}, ax), "levels must lie between 0 and 1; got 50 to 90"),
        (lambda ax: plots.coverage([90], {"levels": [0.9]}, ax), "^levels must lie between 0 and 1; got 90 to 90"),
        (lambda ax: plots.coverage([0.9], {"a": [-0.1]}, ax), "a of found must lie between 0 and 1; got -0.1 to -0.1"),
        (lambda ax: plots.outputs_against_targets({"a": [1, 2]}, [1], ax), "a of outputs must be as long as targets"),
        (lambda ax: plots.outputs_against_targets({"a": 1.0}, [1, 2], ax), r"a of outputs must have shape \(n,\) or"),
        (lambda ax: plots.predicted_against_true([1], [1, 2], ax), "predicted must be as long as true, 1; got 2"),
        (lambda ax: plots.predicted_against_true([1], np.ones((1, 2)), ax), r"predicted must have shape \(n,\)"),
        (lambda ax: plots.confusion([0, 1], [1], ax), "predicted must be as long as true, 2; got 1"),
        (
            lambda ax: plots.confusion([0, 1], [0, 2], ax, classes=[0, 1]),
            "predicted must hold classes among 0, 1; got 2",
        ),
        (lambda ax: plots.confusion([2], [2], ax, classes=[0, 1]), "true must hold classes among 0, 1; got 2"),
        (lambda ax: plots.confusion([0], [0], ax, classes=["0"]), "true must hold classes among '0'; got 0"),
        (lambda ax: plots.confusion([0], ["0"], ax), "true must hold classes among '0'; got 0"),
        (lambda ax: plots.sample_images(np.ones((2, 3, 3)), [0], [0], ax), "images must be as many as predicted, 1"),
        (lambda ax: plots.sample_images(np.ones((2, 3, 3)), [0, 1], [0], ax), "labels must be as long as predicted, 2"),
        (lambda ax: plots.decision_regions(PLANE, np.eye(2), [0], ax), r"X must have shape \(1, 2\), .* got \(2, 2\)"),
        (lambda ax: plots.decision_regions(PLANE, np.eye(2), [0, 2], ax), "y must hold classes among 0, 1; got 2"),
        (lambda ax: plots.learning(fastnn.MLP((2, 2)), np.eye(2), np.eye(2)), "net must have one output; it has 2"),
        (lambda ax: plots.predicted_against_true(MASKED, [1, 2], ax), "true must be .* got a masked array"),
        (lambda ax: plots.confusion(MASKED, [1, 2], ax), "true must hold a class for each sample; got a masked array"),
        (lambda ax: plots.spread(MASKED, ax), "values must be .* got a masked array"),
        (lambda ax: plots.error_over_distance([], [], ax), "distances must have shape .* at least one number"),
        (
            lambda ax: plots.confusion([0, np.nan], [0, 1], ax),
            "true must hold a class for each .* got one that is missi",
        ),
        (
            lambda ax: plots.confusion(["a"], [None], ax),
            "predicted must hold a class for each .* got one that is missi",
        ),
        (
            lambda ax: plots.confusion([0], [0], ax, classes=[]),
            "classes must be different names, one at least; got none",
        ),
        (lambda ax: plots.confusion([0], [0], ax, classes=[0, 0]), "classes must be different names, .* got 0, 0"),
        (
            lambda ax: plots.sample_images(np.ones((1, 3, 3, 5)), [0], [0], ax),
            r"images must have shape .* got \(1, 3, 3",
        ),
        (
            lambda ax: plots.spread([1.0], ax, marked={"a": [1.0]}),
            r"a of marked must be a number; got an array of shape",
        ),
        (lambda ax: plots.loss_curves({"a": 1.0}, ax), r"a of losses must have shape \(epochs,\); got \(\)"),
        (lambda ax: plots.time_per_iteration({"a": 0.0}, ax), "a of seconds must be a finite number above 0; got 0.0"),
        (lambda ax: plots.network_diagram(PLANE, ax, input_names=["x"]), "input_names must have 2 names; got 1"),
        (lambda ax: plots.weight_images(PLANE, ax, shape=(3, 3)), "shape must have 2 pixels"),
        (lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], "a.mp4"), "path must end in .gif; got 'a.mp4'"),
        (
            lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], optimizer=fastnn.LBFGS()),
            "optimizer must be one whose runs can be resumed from frame to frame; got LBFGS",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(ax, draw, message):
    from matplotlib import pyplot

    matplotlib.use("agg")
    for where in (ax, None):
        with pytest.raises(ValueError, match=message):
            draw(where)
    assert not pyplot.get_fignums()  # none is left open, empty


class Refusing:
    """What NumPy makes no array of, as a tensor that requires gradients."""

    def __array__(self, *arguments, **named):
        raise RuntimeError("detach it first")


@pytest.mark.parametrize("strange", [[1j, 2], np.array(["2020-01-01"] * 2, "M8[D]"), ["a", "b"], Refusing()])
def test_what_is_no_number_is_refused(ax, strange):
    with pytest.raises(TypeError, match=r"predicted must be an array of real numbers of shape \(n,\)"):
        plots.predicted_against_true([1, 2], strange, ax)
    with pytest.raises(TypeError, match="mse of losses must be an array of real numbers"):
        plots.loss_curves({"mse": strange}, ax)


def test_objects_that_are_numbers_are_drawn(ax):
    plots.spread(np.array([1, None, 2.5], object), ax)
    assert ax.get_lines()[0].get_xdata().tolist() == [1.0, 2.5]


def test_error_over_distance(ax):
    distances = np.arange(1.0, 41.0)[::-1]
    plots.error_over_distance(distances, -2 * distances, ax)
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), np.stack([distances, 2 * distances], axis=1))
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata()[0], [2.5, 5])
    assert len(ax.get_lines()[0].get_xdata()) == 10
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: plots.loss_curves([1.0, 2.0], ax), "losses must be a mapping"),
        (lambda ax: plots.coverage([0.5], [0.5], ax), "found must be a mapping"),
        (lambda ax: plots.outputs_against_targets([1.0], [1.0], ax), "outputs must be a mapping"),
        (lambda ax: plots.spread([1.0], ax, marked=[1.0]), "marked must be a mapping"),
        (lambda ax: plots.time_per_iteration([1.0], ax), "seconds must be a mapping"),
        (lambda ax: plots.time_per_iteration({}, ax), "seconds must have at least one time; got none"),
        (lambda ax: plots.time_per_iteration({"a": 1.0}, ax, bar="b"), "bar must be one of a; got 'b'"),
        (
            lambda ax: plots.outputs_against_targets({"a": [1.0]}, [1.0], ax, names=["b", "c"]),
            "names must have 1 name; got 2",
        ),
        (lambda ax: plots.confusion([0], [0], ax, classes=np.eye(2)), "classes must be a sequence of names"),
        (lambda ax: plots.network_diagram(PLANE, ax, input_names="xy"), "input_names must be a sequence of names"),
        (lambda ax: plots.network_diagram(PLANE, ax, output_names=["u", "v"]), "output_names must have 1 name; got 2"),
        (lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], input_names=list("abc")), "input_names must have 2 names"),
        (lambda ax: plots.network_diagram(PLANE, ax, max_units=0), "max_units must be an integer of at least 1"),
        (lambda ax: plots.network_diagram(3, ax), "net must be a fastnn.MLP; got 3"),
        (lambda ax: plots.weight_images(PLANE, ax, shape=2), "shape must be a tuple of height and width; got 2"),
        (lambda ax: plots.weight_images(PLANE, ax, shape=(-1, -2)), "shape must be an integer of at least 1"),
        (
            lambda ax: plots.weight_images(PLANE, ax, shape=(1, 2), columns=0),
            "columns must be an integer of at least 1",
        ),
        (
            lambda ax: plots.sample_images([1.0], [0], [0], ax),
            r"images must have shape \(n, height, width\); got \(1,\)",
        ),
        (lambda ax: plots.sample_images(np.ones((1, 2, 2)), [0], [0], ax, columns=0), "columns must be an integer"),
        (
            lambda ax: plots.decision_regions(PLANE, np.eye(2), [0, 1], ax, steps=1),
            "steps must be an integer of at lea",
        ),
        (
            lambda ax: plots.decision_regions(PLANE, np.eye(2), [0, 1], ax, names=["x"]),
            "names must have 2 names; got 1",
        ),
        (
            lambda ax: plots.decision_regions(PLANE, [[0.0, np.nan]], [0], ax),
            "X must be finite; got nan in row 0, column 1",
        ),
        (lambda ax: plots.error_over_distance([0.0, 1.0], [1.0, 0.0], ax), "errors and distances must have a sample"),
        (lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], frames=1), "frames must be an integer of at least 2"),
        (lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], epochs=0), "epochs must be an integer of at least 1"),
        (lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], 3), "path must be a str or a path; got 3"),
        (
            lambda ax: plots.confusion(np.array([0, "a"], object), [0, 1], ax),
            "true and predicted .* classes of one kind",
        ),
        (
            lambda ax: plots.sample_images(np.ones((1, 2, 2)) * 1j, [0], [0], ax),
            "images must be an array of real numbers",
        ),
        (lambda ax: plots.spread([1.0], ax, marked={"a": "1"}), "a of marked must be an array of real numbers"),
        (lambda ax: plots.spread(None, ax), r"values must be an array of real numbers of shape \(n,\); got None"),
        (lambda ax: plots.spread(np.array(["1", "2"], object), ax), "values must be an array of real numbers"),
        (lambda ax: plots.time_per_iteration({0: 1.0}, ax, bar="b"), "bar must be one of 0; got 'b'"),
        (lambda ax: plots.confusion([[0], [0, 1]], [0, 1], ax), "true must hold a class for each sample; got"),
        (lambda ax: plots.confusion([0], Foreign(), ax), "predicted must hold a class for each sample; got"),
        (lambda ax: plots.confusion([0], [0], ax, classes=np.array(1)), "classes must be a sequence of names; got"),
        (lambda ax: plots.confusion([0], [0], ax, classes=[{}]), r"classes must be numbers or texts; got {} \(dict\)"),
        (lambda ax: plots.sample_images(Foreign(), [0], [0], ax), "images must be an array of real numbers"),
        (lambda ax: plots.reliability([0], 0.5, ax), r"probabilities must have shape .* got \(\)"),
        (lambda ax: plots.learning(PLANE, np.eye(2), [0, 1], "a.txt"), r"path must end in \.gif; got 'a.txt'"),
        (lambda ax: plots.spread([1.0], ax.figure), "ax must be an Axes in a figure; got"),
        (lambda ax: plots.spread([1.0], np.array([ax, ax])), "ax must be an Axes in a figure; got"),
        (lambda ax: (ax.remove(), plots.spread([1.0], ax)), "ax must be an Axes in a figure; got"),
    ],
)
def test_odd_arguments_are_refused_by_name(ax, draw, message):
    with pytest.raises((TypeError, ValueError), match=message):
        draw(ax)


def test_infinity_leaves_no_r2_and_no_warning(ax):
    plots.predicted_against_true([1.0, 2.0, np.inf], [1.0, 2.0, 1e300], ax)
    assert "r2 nan" in ax.get_title()


def test_decision_regions_around_one_point(ax):
    plots.decision_regions(PLANE, [[1.0, 2.0]], [1], ax, steps=5)
    np.testing.assert_allclose([*ax.get_xlim(), *ax.get_ylim()], [0.92, 1.08, 1.92, 2.08])


def test_classes_are_no_formulas(ax):
    plots.confusion(["US$", "$_{$"], ["US$", "US$"], ax)
    plots.sample_images(np.ones((1, 2, 2)), ["$_{$"], ["US$"], ax)
    ax.figure.canvas.draw()  # parses what it takes for a formula
    assert [text.get_text() for text in ax.get_yticklabels()] == [r"\$_{\$", r"US\$"]
    assert ax.texts[-1].get_text() == r"\$_{\$, is US\$"


@pytest.mark.parametrize("of", [1.0, 1e20])
@pytest.mark.parametrize("others", [[], [0.0]])
def test_members_that_differ_by_rounding_are_one_bar(ax, of, others):
    values = np.full(40, of)
    values[20:] = np.nextafter(of, np.inf)
    plots.spread([*values, *others], ax)
    assert max(patch.get_height() for patch in ax.containers[0]) == 40
    assert len(ax.containers[0]) < 20


def test_images_may_have_colours(ax):
    colours = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    plots.sample_images(colours, [0, 1], [0, 1], ax)
    np.testing.assert_array_equal(ax.images[1].get_array(), colours[1])


@pytest.mark.parametrize("optimizer", [fastnn.SGD(1e6), fastnn.LevenbergMarquardt()])
def test_an_animation_ends_where_its_run_does(optimizer):
    X, net = np.arange(8.0).reshape(4, 2), fastnn.MLP((2, 1), dtype="float32", rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it diverges
        film = plots.learning(net, X, X[:, 0] ** 2, epochs=500, frames=5, optimizer=optimizer)
    film._draw_was_started = True  # else it warns that nobody sees it
    *_, last = frames = list(film.new_frame_seq())
    assert len(frames) < 5
    film._func(last)
