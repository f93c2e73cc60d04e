"""What torch's compiler did, on the rounds' clock; without torch it costs nothing and loads nothing."""

import subprocess
import sys
from time import perf_counter_ns, time_ns
from types import SimpleNamespace

import pytest

from pytest_modelbench.compiler import Compiler


class Handler:
    """Dynamo's callback handler, as torch 2.9 to 2.13 have it, without torch."""

    def __init__(self):
        self.start_callbacks, self.end_callbacks = [], []
        self.register_start_callback, self.register_end_callback = (
            self.start_callbacks.append,
            self.end_callbacks.append,
        )
        self.remove_start_callback, self.remove_end_callback = self.start_callbacks.remove, self.end_callbacks.remove

    def compile(self, trigger="DYNAMO"):
        what = SimpleNamespace(callback_trigger=SimpleNamespace(name=trigger), compile_id="0/0")
        for callback in [*self.start_callbacks]:
            callback(what)
        for callback in [*self.end_callbacks]:
            callback(what)


@pytest.fixture
def handler(monkeypatch):
    handler = Handler()
    monkeypatch.setitem(sys.modules, "torch._dynamo.callback", SimpleNamespace(callback_handler=handler))
    return handler


def test_events_stand_on_the_rounds_clock(handler):
    compiler = Compiler()
    compiler.start()
    before = perf_counter_ns()
    handler.compile()
    handler.compile("CUDAGRAPH_RECORDING")
    handler.compile("LAZY_BACKWARD")
    after = perf_counter_ns()
    compiled, recorded = compiler.stop()
    assert (compiled.sampler, compiled.name, compiled.unit) == ("compiler", "compile_seconds", "seconds")
    assert len(compiled.values) == 2
    assert recorded.name == "cudagraph_recording_seconds"
    assert all(before <= at <= after for at in (*compiled.at_ns, *recorded.at_ns))
    assert all(0 <= value <= (after - before) * 1e-9 for value in (*compiled.values, *recorded.values))


def test_after_stop_nothing_is_heard(handler):
    compiler = Compiler()
    compiler.start()
    assert compiler.stop() == ()
    assert handler.start_callbacks == handler.end_callbacks == []


def test_a_reset_of_dynamo_inside_is_survived(handler):
    compiler = Compiler()
    compiler.start()
    handler.compile()
    handler.start_callbacks.clear()
    handler.end_callbacks.clear()
    assert [series.name for series in compiler.stop()] == ["compile_seconds"]


def test_a_compiler_loaded_meanwhile_is_asked_for_its_own_list(monkeypatch):
    for name in ("torch._dynamo.callback", "torch._dynamo.utils"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    compiler = Compiler()
    compiler.start()
    now_us = time_ns() // 1000
    events = [SimpleNamespace(start_time_us=at, duration_us=2_000_000) for at in (now_us - 60_000_000, now_us + 1000)]
    utils = SimpleNamespace(get_compilation_metrics=lambda: events)
    monkeypatch.setitem(sys.modules, "torch._dynamo.utils", utils)
    (series,) = compiler.stop()
    assert series.values == (2.0,)
    assert abs(series.at_ns[0] - perf_counter_ns()) < 10**9


def test_without_torch_nothing_is_loaded():
    code = "import sys; from pytest_modelbench.compiler import Compiler\n"
    code += "c = Compiler(); c.start(); assert c.stop() == (); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
