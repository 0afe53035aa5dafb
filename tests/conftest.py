import gc
import signal
import subprocess
import sys
import time

import pytest


def pytest_configure(config):
    """Let Ctrl-C interrupt, as tests send it: programs that a script starts in the background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish(session):
    """Look for garbage less often, and not among what was imported: compiling makes millions of short-lived objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    """Either twin, as the public API names it."""
    return request.param


@pytest.fixture
def shared(monkeypatch):
    """Steps are shared by as many threads as are asked for, however short they are."""
    from fastnn.kernels import dispatch  # which few tests need

    monkeypatch.setattr(dispatch, "threads_for", lambda threads, batch_size, n_params: threads)


@pytest.fixture
def one_thread(monkeypatch):
    """Have a module start one thread and no more, as where the system gives none: the list of those it has started."""

    def limit(module):
        started = []

        class Scarce(module.Thread):
            def start(self):
                if started:
                    raise RuntimeError("can't start new thread")
                super().start()
                started.append(self)

        monkeypatch.setattr(module, "Thread", Scarce)
        return started

    return limit


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder, in which the test runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refusal(capsys):
    """Run a command that must fail, saying why in one line on standard error and nothing else: that line."""
    from fastnn.apps import cli  # which few tests need

    def run(command, *argv):
        capsys.readouterr()  # what was said before
        assert cli.main([command, *argv]) == 1
        out, line = capsys.readouterr()
        assert out == ""
        assert line.startswith(f"fastnn {command}: ")
        assert line.count("\n") == 1
        return line

    return run


@pytest.fixture
def interrupt():
    """Run a script that says "ready", and send it Ctrl-C some seconds later: why its run ended, and after how long."""

    def run(script, arguments, seconds):
        command = [sys.executable, "-c", script, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout.readline() == "ready\n"
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(seconds)
            process.send_signal(signal.SIGINT)
            sent = time.time()
            answer, _ = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == 0
        stopped, ended = answer.split()
        return stopped, float(ended) - sent

    return run
