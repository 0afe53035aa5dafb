"""The comparison: peers agree with the reference or are left out; what is measured is shown as it was measured."""

import json
import math
import os
import re
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

import fastnn
from fastnn.apps import cli
from fastnn.apps.comparison import elsewhere, machine, measure, results, running, workloads
from fastnn.apps.comparison.peers import PEERS, Peer
from fastnn.apps.comparison.workloads import NotComparable, Workload

TINY = Workload("tiny", (3, 5, 3), batch_size=4, batches=3)
VARIANTS = [
    replace(TINY, activation=activation, optimizer=optimizer, loss=loss, dtype=dtype, bias=loss != "sse", passes=2)
    for activation, optimizer, loss, dtype in (
        ("tanh", "sgd", "mse", "float32"),
        ("relu", "adam", "cross_entropy", "float32"),
        ("sigmoid", "momentum", "sse", "float64"),
        ("tanh", "adam", "mse", "float64"),
        ("relu", "momentum", "mse", "float32"),
    )
]
SOME = ("reference", "sklearn", "plain_numpy", "torch")  # who cannot train many networks, or not all of them
TUTORIAL = replace(workloads.NAMED["tutorial"], passes=50)
MANY = [
    replace(workloads.NAMED["many-tutorials"], passes=20, members=5),
    replace(workloads.NAMED["many-regressions"], passes=20, members=5),
    replace(TINY, optimizer="adam", members=3),
    replace(TINY, loss="cross_entropy", optimizer="momentum", members=3),
]


def result(peer, minimum, workload="tiny", threads=1):
    title = PEERS[peer].title + (f", {threads} threads" if threads > 1 else "")
    return {
        "workload": workload, "peer": peer, "threads": threads, "title": title, "import": 0.1, "build": 0.2,
        "first": 0.3, "error": 1e-7, "minimum": minimum, "median": 1.1 * minimum, "runs": 9, "blas": "openblas <x>",
    }  # fmt: skip


@pytest.fixture
def record():
    every = [TINY, *workloads.FAMILIES["width"].values()]
    return {
        "format": running.FORMAT,
        "date": "2024-05-06T07:08:09+00:00",
        "machine": {"processor": "A & B", "cores": 2, "system": "test", "versions": {"numpy": "2.0"}},
        "warnings": ["something is wrong"],
        "environment": {"1": {"OMP_NUM_THREADS": "1"}},
        "absent": {"JAX": "jax is not installed"},
        "seconds": 1.0,
        "peak": {"float32": 1e11, "float64": 5e10},
        "workloads": [
            {**asdict(w), "sizes": list(w.sizes), "title": w.title, "flops": w.flops, "steps": w.steps} for w in every
        ],
        "results": [
            *(result(p, t, w.name) for w in every for p, t in (("plain_numpy", 2e-5), ("fastnn", 1e-6))),
            {**result("fastnn", 0.5e-6, threads=2), "compiled_first": 3.0},
            {"workload": "tiny", "peer": "torch", "threads": 1, "title": "PyTorch", "excuse": "it is <late>"},
        ],
    }


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize(
    "workload",
    [pytest.param(w, marks=pytest.mark.slow) if w in VARIANTS[3:] + MANY else w for w in (*VARIANTS, TUTORIAL, *MANY)],
    ids=lambda w: f"{w.loss}-{w.optimizer}-{w.dtype}-{w.members}",
)
def test_peer_takes_the_references_steps(name, workload):
    pytest.importorskip(PEERS[name].imports[-1])
    try:
        training = PEERS[name].training(workload, threads=1)
    except NotComparable:
        assert (name, workload.loss) == ("sklearn", "sse") or (workload in MANY and name in SOME)
        return
    assert not (workload in MANY and name in ("reference", "sklearn"))
    expected = running._reference(workload)
    for _ in range(2):  # a reset leads back to the start
        training.reset()
        training.run(workload.checked_steps)
        error = np.linalg.norm(training.params() - expected) / np.linalg.norm(expected - workload.start())
        assert error < workload.tolerance
    training.run(workload.steps)  # whole passes
    assert np.isfinite(training.params()).all()


def ask(**changed):
    return {"workload": asdict(TINY), "imports": ["numpy"], "threads": 1, "cores": None, "seconds": 0.0, **changed}


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.npy"
    np.save(path, running._reference(TINY))
    return str(path)


def test_a_peer_that_computes_something_else_is_not_timed(monkeypatch, reference):
    from fastnn.apps.comparison.peers import plain_numpy

    class Wrong(plain_numpy.Training):
        def descend(self, t, gradient):
            super().descend(t, [1.1 * g for g in gradient])

    monkeypatch.setitem(PEERS, "wrong", Peer("wrong", "Wrong", ("numpy",), "numpy", ""))
    monkeypatch.setitem(sys.modules, "fastnn.apps.comparison.peers.wrong", SimpleNamespace(Training=Wrong))
    answer = measure.measure(ask(peer="wrong", reference=reference))
    assert "differs from the reference" in answer["excuse"]
    assert "minimum" not in answer


def test_an_adam_without_its_bias_corrections_is_not_timed_even_beside_kinks(monkeypatch, tmp_path):
    from fastnn.apps.comparison.peers import plain_numpy

    adapt = plain_numpy.Training.adapt
    monkeypatch.setattr(plain_numpy.Training, "adapt", lambda self, t, gradient: adapt(self, 10**6, gradient))
    workload = replace(TINY, activation="relu", loss="cross_entropy", optimizer="adam", batches=10)
    np.save(tmp_path / "r.npy", running._reference(workload))
    answer = measure.measure(ask(peer="plain_numpy", workload=asdict(workload), reference=str(tmp_path / "r.npy")))
    assert workload.tolerance == 5e-2
    assert "differs from the reference" in answer["excuse"]


def test_many_networks_are_timed_by_the_step_of_one(tmp_path, monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(measure, "perf_counter", lambda: float(next(ticks)))
    workload = replace(workloads.NAMED["many-tutorials"], passes=10, members=4)
    np.save(tmp_path / "r.npy", running._reference(workload))
    answer = measure.measure(ask(peer="plain_numpy", workload=asdict(workload), reference=str(tmp_path / "r.npy")))
    assert answer["minimum"] == answer["median"] == 1 / 40


def test_a_peer_that_trains_one_network_at_a_time_says_so():
    answer = measure.measure(ask(peer="reference", workload=asdict(MANY[0]), reference=None))
    assert answer == {"excuse": "it trains one network at a time"}


def test_measure_tells_all_its_times(reference):
    answer = measure.measure(ask(peer="plain_numpy", reference=reference))
    assert 0 < answer["minimum"] <= answer["median"] < 1
    assert answer["runs"] == measure.LEAST_RUNS
    assert answer["error"] < 1e-5
    assert {"import", "build", "first", "blas"} <= answer.keys()


def test_compare_runs_each_in_a_process_of_its_own():
    entrants, absent = running.present_and_absent(["plain_numpy"], threads=2)
    seen = []
    record = running.compare([TINY], entrants, absent, seconds=0.0, after=seen.append)
    assert record["results"] == seen
    assert seen[0]["minimum"] > 0
    assert seen[0]["title"] == "NumPy"
    assert seen[0]["import"] > 0.01  # of NumPy itself: nothing has imported it before
    assert record["peak"]["float32"] > 1.2 * record["peak"]["float64"] > 1e8
    assert record["machine"]["versions"]["numpy"] == np.__version__
    json.dumps(record)


def test_a_process_that_fails_is_an_excuse_and_not_the_end():
    assert "oops" in running.json_from([sys.executable, "-c", "raise SystemExit('oops')"], 1)["excuse"]


@pytest.mark.slow
def test_a_peer_of_another_environment_is_measured_by_its_interpreter():
    here, _ = running.present_and_absent(["plain_numpy"], threads=1)
    other = elsewhere.entrants([f"plain_numpy-other={sys.executable}", f"plain_numpy={sys.executable}"])
    assert [entrant.title for entrant in other] == ["NumPy other", f"NumPy {np.__version__}"]
    record = running.compare([TINY], [*other[:1], *here], {}, seconds=0.0)
    assert record["elsewhere"] == {"NumPy other": f"numpy {np.__version__}"}
    assert [r["elsewhere"] for r in record["results"]] == [True, False]
    assert results.baseline_of(record["results"]) is record["results"][1]  # this environment's NumPy


def test_another_interpreter_does_not_see_this_environments_libraries(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONPATH", "kept")
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\necho "[\\"$PYTHONPATH\\"]"\n')
    other.chmod(0o755)
    assert running.json_from([str(other)], 1) == ["kept"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jax", "PEER=PATH"),
        ("jacks-0.6=python", "got 'jacks'"),
        ("jax-0.6=no/such/python", "an interpreter that can be run; got 'no/such/python'"),
        (f"gone={sys.executable}", "must have no-such and fastnn"),
    ],
)
def test_a_peer_that_is_not_elsewhere_is_refused(text, said, monkeypatch):
    monkeypatch.setitem(PEERS, "gone", Peer("gone", "Gone", ("no_such",), "no-such", ""))
    with pytest.raises(ValueError, match=said):
        elsewhere.entrants([text])


def test_another_version_of_fastnn_elsewhere_is_refused(monkeypatch):
    found = {"python": "3.11", "fastnn": "0.0.1", "peer": "0.6.2"}
    monkeypatch.setattr(elsewhere, "json_from", lambda *request: found)
    with pytest.raises(ValueError, match=r"must have fastnn .* has 0\.0\.1"):
        elsewhere.entrants([f"jax={sys.executable}"])
    found["fastnn"] = elsewhere.__version__
    with pytest.raises(ValueError, match=r"JAX 0\.6\.2 came twice"):
        elsewhere.entrants([f"jax={sys.executable}"] * 2)


@pytest.mark.parametrize(("says", "said"), [("", "by ''"), ("hello", "by 'hello"), ("[1]", "[1]"), ("\\377", "xff")])
def test_what_is_no_interpreter_is_refused(says, said, tmp_path):
    other = tmp_path / "python"
    other.write_text(f"#!/bin/sh\nprintf '{says}'\n")
    other.chmod(0o755)
    with pytest.raises(ValueError, match=f"must have jax and fastnn; .*{re.escape(said)}"):
        elsewhere.entrants([f"jax={other}"])


@pytest.mark.slow
def test_scikit_learn_is_found_beside_the_package_that_has_its_name():
    pytest.importorskip("sklearn")
    code = "import json, sklearn, fastnn; print(json.dumps([sklearn.__name__, fastnn.__file__]))"
    assert running.json_from([sys.executable, "-P", "-c", code], 1) == ["sklearn", fastnn.__file__]


def test_entrants_name_who_is_missing(monkeypatch):
    monkeypatch.setitem(PEERS, "gone", Peer("gone", "Gone", ("no_such_package.part",), "no-such", ""))
    present, absent = running.present_and_absent(["gone", "fastnn"], threads=3)
    assert [e.title for e in present] == ["fastnn", "fastnn, 3 threads"]
    assert "pip install no-such" in absent["Gone"]


def test_cores_follow_each_other(monkeypatch):
    monkeypatch.setattr(machine, "available_cores", lambda: [2, 3, 5])
    assert running._cores(None, 1) == [2]
    assert running._cores(3, 2) == [3, 5]
    assert running._cores(5, 2) == [5, 2]


def test_warnings_name_what_cripples_a_peer(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert any("OPENBLAS_CORETYPE=Haswell" in warning for warning in machine.warnings())
    assert any("PYTHONDONTWRITEBYTECODE=1" in warning for warning in machine.warnings())
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    assert not any("OPENBLAS_CORETYPE" in warning for warning in machine.warnings())


def test_environment_holds_the_threads():
    held = machine.environment_of(3)
    assert {held[name] for name in machine.THREAD_VARIABLES} == {"3"}
    assert "XLA_FLAGS" not in held
    code = "import json, os; print(json.dumps([os.environ['OMP_NUM_THREADS'], os.environ['PATH']]))"
    assert running.json_from([sys.executable, "-c", code], 2) == ["2", os.environ["PATH"]]


def test_workloads_by_name():
    names = [w.name for w in workloads.named(["digits", "batch", "width-64"])]
    assert names == ["digits", *(f"batch-{n}" for n in workloads.FAMILIES["batch"]), "width-64"]
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        workloads.named(["digit"])


def test_operations_of_a_step():
    # forward 2nm a product and row; so each gradient, but that of the inputs
    assert Workload("w", (2, 3, 1), batch_size=5).flops == 5 * (2 * 2 * (2 * 3 + 3) + 2 * 3)


@pytest.mark.parametrize("workload", workloads.named(["tutorial", "regression", "digits"]), ids=lambda w: w.name)
def test_data_are_the_same_each_time(workload):
    for one, other in zip(workload.data(), workload.data(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(workload.data()[0]) == workload.batch_size * workload.batches


def test_rows_of_a_table(record):
    rows = results.rows(record["workloads"][0], results.results_on(record, "tiny"), record["peak"])
    assert [row[0] for row in rows] == ["NumPy", "fastnn", "fastnn, 2 threads"]
    assert rows[0][1:4] == ["20 us", "22 us", "1x"]
    share = record["workloads"][0]["flops"] / 1e-6 / 1e11
    assert rows[1][3:5] == ["20x", f"{100 * share:.2g}%"]
    assert rows[2][3:5] == ["40x", f"{100 * share:.2g}%"]  # twice the rate on twice the cores


@pytest.mark.parametrize(("seconds", "text"), [(1.5, "1.5 s"), (0.02, "20 ms"), (3.25e-6, "3.25 us"), (4e-8, "40 ns")])
def test_durations_have_their_unit(seconds, text):
    assert results.duration(seconds) == text


def test_changes_between_two_records_are_told(record):
    old = json.loads(json.dumps(record))
    old["results"][0]["minimum"] *= 1.02
    old["results"][1]["minimum"] *= 3
    old["workloads"][1] = {**old["workloads"][1], "batch_size": 7}  # another workload by the same name
    changes = results.changes(old, record)
    assert [c.verdict for c in changes[:2]] == ["the same", "2.94x faster"]  # NumPy's time, and a ratio to it
    assert changes[1].cells[1:3] == ["6.8x", "20x"]
    assert "width-4" not in {c.workload for c in changes}
    assert results.Change("w", "t", 1.0, 2.0, of_times=True).verdict == "2x slower"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "other"}',
        '{"format": "fastnn.apps.comparison", "results": 3}',
        '{"format": "fastnn.apps.comparison", "results": [], "workloads": [], "date": "today"}',
    ],
)
def test_compare_with_what_is_no_measurement(text, tmp_path, refusal):
    path = tmp_path / "old.json"
    path.write_text(text)
    assert refusal("bench", "tutorial", "--compare", str(path)).startswith(f"fastnn bench: {path} is not what")


@pytest.mark.parametrize(
    ("field", "value"),
    [("minimum", value) for value in (0.0, -1.0, math.nan, math.inf, 10**400, "1", None)]
    + [("title", ["x"]), ("workload", {}), ("peer", None)],
)
def test_damaged_measurements_are_refused_before_anything_is_measured(field, value, record, tmp_path):
    record["results"][0][field] = value
    (tmp_path / "old.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"old.json is not what `fastnn bench --json` writes: .* are no names and"):
        results.read(str(tmp_path / "old.json"))


@pytest.mark.parametrize("workloads", ["", {}, [{"name": ["x"]}]])
def test_workloads_without_names_are_refused(workloads, record, tmp_path):
    (tmp_path / "old.json").write_text(json.dumps({**record, "workloads": workloads}))
    with pytest.raises(ValueError, match=r"old.json is not what `fastnn bench --json` writes: .*no names of workloads"):
        results.read(str(tmp_path / "old.json"))


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no endless device here")
def test_a_device_is_no_measurement():
    with pytest.raises(ValueError, match="a device or a pipe"):
        results.read("/dev/zero")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["digit"], "WORKLOAD must be one of"),
        (["digit"], "did you mean 'digits'"),
        (["--layers", "3,x"], "--layers"),
        (["--layers", "3,0,1"], "--layers must be two or more positive integers"),
        (["--layers", "3"], "--layers must be two or more positive integers, as in 8,32,32,1; got '3'"),
        (["--layers", "3,1", "--batch", "0"], "--batch must be an integer of at least 1; got 0"),
        (["--layers", "3,1", "--loss", "mae"], "--loss must be one of"),
        (["--layers", "3,1", "--activation", "elu"], "--activation must be one of"),
        (["--layers", "3,1", "--optimizer", "rprop"], "--optimizer must be one of"),
        (["--layers", "3,1", "--dtype", "int8"], "--dtype must be one of float32, float64; got 'int8'"),
        (["--peers", "pytorch"], "peer"),
        (["--threads", "0"], "--threads"),
        (["--seconds", "0"], "--seconds must be a finite number above 0; got 0.0"),
        (["--seconds", "inf"], "--seconds"),
        (["tutorial", "--batch", "5"], "--batch must go with --layers"),
        (["--core", "9999"], "--core"),
        (["--json", "no/such/folder/x.json"], "folder"),
        (["--json", os.devnull], "is a device or a pipe, not a file"),
        (["--json", "a", "--html", "./a"], "--json and --html must name two files; got a for both"),
        (["--layers", "3,1", "--loss", "cross_entropy"], "an output for each class, two or more"),
    ],
)
def test_bad_options_are_refused_in_one_line(argv, said, refusal):
    assert said in refusal("bench", *argv)


@pytest.mark.slow
def test_the_command_writes_its_files_and_tells_what_changed(folder, capsys):
    pytest.importorskip("matplotlib")
    argv = ["bench", "--layers", "2,3,1", "--batch", "4", "--peers", "plain_numpy", "--seconds", "0.01"]
    assert cli.main([*argv, "--json", "a.json"]) == 0
    assert "given: 2-3-1" in capsys.readouterr().out
    assert cli.main([*argv, "--json", "b.json", "--html", "b.html", "--compare", "a.json"]) == 0
    said = capsys.readouterr().out
    assert "Since 2" in said
    assert "given, NumPy" in said
    assert results.read("b.json")["results"][0]["minimum"] > 0
    assert "<svg" in (folder / "b.html").read_text()


def test_report_is_one_file_that_shows_all(record):
    pytest.importorskip("matplotlib")
    from fastnn.apps.comparison import report

    text = report.html(record, record)
    assert text.count("<svg") == 3  # speed-ups, width, share of the peak; the batches were not measured
    assert "A &amp; B" in text
    assert "PyTorch is left out: it is &lt;late&gt;." in text
    assert "<b>JAX</b> is left out: jax is not installed" in text
    assert "first run takes 3 s" in text
    assert "Something is wrong." in text
    assert text.count("aria-label") == 3
    assert "2024-05-06 07:08 UTC" in text
    assert "on 1 thread OMP_NUM_THREADS=1." in text
    assert "the same" in text
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", text)  # nothing is fetched


def test_pictures_draw_what_was_measured(record):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from fastnn.apps.comparison import pictures

    ax = pictures.times_by_size(record, "width", Figure().add_subplot())
    line = next(line for line in ax.get_lines() if line.get_label() == "fastnn")
    np.testing.assert_allclose(line.get_xydata(), [[n, 1.0] for n in workloads.FAMILIES["width"]])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")

    ax = pictures.speed_ups(record, Figure().add_subplot())
    ends = [patch.get_x() + patch.get_width() for patch in ax.patches]
    np.testing.assert_allclose(ends, [20, 40])
    assert ax.get_title() == "Speed-up over plain NumPy"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fastnn", "fastnn, 2 threads"]
    without = {**record, "results": [r for r in record["results"] if r["peer"] != "plain_numpy"]}
    assert pictures.speed_ups(without, Figure().add_subplot()).get_title() == "Speed-up over the slowest"

    elsewhere = {**result("plain_numpy", 2e-6), "title": "NumPy other", "elsewhere": True}
    ax = pictures.speed_ups({**without, "results": [elsewhere, *without["results"]]}, Figure().add_subplot())
    assert ax.get_title() == "Speed-up over the slowest"
    level = {**record, "results": [result("plain_numpy", 1e-6), result("fastnn", 1e-6)]}
    assert len(pictures.speed_ups(level, Figure().add_subplot()).patches) == 1  # fastnn

    ax = pictures.roofline(record, Figure().add_subplot())
    points = np.concatenate([c.get_offsets() for c in ax.collections])
    shapes = {w["name"]: w for w in record["workloads"]}
    shares = [results.share(shapes[r["workload"]], r, record["peak"]) for r in record["results"] if "minimum" in r]
    assert max(shares) > 1  # which is no measurement, and not drawn
    assert len(points) == sum(share <= 1 for share in shares)
    np.testing.assert_allclose(points[0], [TINY.flops, 100 * TINY.flops / 2e-5 / 1e11])


def test_looks_of_the_peers_differ_in_shape_and_lightness():
    pytest.importorskip("matplotlib")
    from fastnn.apps.comparison import pictures

    assert set(pictures.LOOKS) == set(PEERS)
    looks = [*pictures.LOOKS.values(), pictures.ON_THREADS]
    assert len({marker for _, marker, _, _ in looks}) == len(looks)


def test_what_a_slower_machine_measures_compares_by_ratios(record):
    old = json.loads(json.dumps(record))
    for r in old["results"]:
        r["minimum"] = 2 * r.get("minimum", 1.0)
    changes = results.changes(old, record)
    assert {c.verdict for c in changes if c.title.startswith("fastnn")} == {"the same"}
    assert {c.verdict for c in changes if c.title == "NumPy"} == {"2x faster"}


def test_more_than_the_peak_is_marked(record):
    workload = record["workloads"][0]
    slow = {**result("fastnn", 1e-6), "peak": workload["flops"] / 2e-6}  # measured when the core had half its clock
    assert results.rows(workload, [slow], record["peak"])[0][4] == results.IMPOSSIBLE
    assert "not to be trusted" in results.doubts(workload, [slow], record["peak"])[0]
    assert results.doubts(workload, results.results_on(record, "tiny"), record["peak"]) == []


@pytest.mark.parametrize("width", ["20", "100"])
def test_a_narrow_terminal_loses_no_number(width, monkeypatch, capsys):
    monkeypatch.setattr(pytest.importorskip("rich"), "_console", None)  # which would keep the width of another test
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(running, "json_from", lambda *request: result("plain_numpy", 2.5e-5, "given"))
    assert cli.main(["bench", "--layers", "2,3,1", "--batch", "4", "--peers", "plain_numpy", "--threads", "1"]) == 0
    assert "25 us" in capsys.readouterr().out


def test_nothing_measured_is_a_failure(monkeypatch, capsys):
    monkeypatch.setattr(running, "json_from", lambda *request: {"excuse": "it is late"})
    assert cli.main(["bench", "--layers", "2,3,1", "--batch", "4", "--peers", "plain_numpy"]) == 1
    assert "nothing was measured" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_that_cannot_be_written_leaves_the_one_before(option, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")

    def full(*paths):
        raise OSError("No space left on device")

    monkeypatch.setattr(running, "json_from", lambda *request: {"excuse": "it is late"})
    monkeypatch.setattr(os, "replace", full)
    path = tmp_path / "measured"
    path.write_text("before")
    argv = ["bench", "--layers", "2,3,1", "--batch", "4", "--peers", "plain_numpy", option, str(path)]
    assert cli.main(argv) == 1
    assert "No space left" in capsys.readouterr().err
    assert path.read_text() == "before"
