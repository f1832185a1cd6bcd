"""Names of processes."""

import threading
from typing import Any

import pytest
from process_helpers import SECONDS, await_end, event, gone, take, until, wait_for_end

from wsfast import process
from wsfast.errors import WebSocketError
from wsfast.process import PID, NameTaken, NoProcess, registry


def test_a_name_stands_for_a_process(me: PID) -> None:
    registry.register("me")
    assert registry.lookup("me") == me
    assert process.send("me", "topic")
    assert registry.unregister("me") is True
    assert registry.unregister("me") is False
    assert registry.lookup("me") is None
    assert process.send("me", "topic") is False


def test_a_name_belongs_to_one(me: PID) -> None:
    registry.register("name")
    registry.register("name")
    registry.register("name", str(me))
    other = process.spawn(wait_for_end)
    with pytest.raises(NameTaken, match="'name' is the name of"):
        registry.register("name", other)
    with pytest.raises(NameTaken):
        process.spawn(wait_for_end, name="name")
    with pytest.raises(NameTaken), process.attach("name"):
        raise AssertionError
    assert issubclass(NameTaken, WebSocketError)
    assert registry.lookup("name") == me


def test_a_process_may_have_several(me: PID) -> None:
    other = process.spawn(await_end, name="a", monitor=True)
    for name in ("b", "c", "d"):
        registry.register(name, other)
    registry.unregister("c")
    assert [registry.lookup(name) for name in "abcd"] == [other, other, None, other]
    process.cancel(other)
    event()
    assert [registry.lookup(name) for name in "abcd"] == [None] * 4


def test_its_name_is_free_when_its_end_is_told(me: PID) -> None:
    for _ in range(100):
        process.spawn(wait_for_end, name="phoenix", monitor=True)
        process.cancel("phoenix")
        event()


def test_who_has_ended_gets_no_name(me: PID) -> None:
    other = process.spawn(int, monitor=True)
    event()
    with pytest.raises(NoProcess, match="there is no process"):
        registry.register("name", other)
    with pytest.raises(ValueError, match="another node"):
        registry.register("name", PID("elsewhere", "host", 1))


def test_a_name_is_there_before_the_process_runs(me: PID) -> None:
    def first() -> None:
        process.send("me", "found", registry.lookup("early") == process.pid())

    registry.register("me")
    process.spawn(first, name="early")
    assert take(process.inbox()).payload is True


@pytest.mark.parametrize("name", ["", "{", "{a@b|1}", "n" * 256])
def test_what_is_no_name(me: PID, name: str) -> None:
    for call in (registry.register, registry.lookup, registry.unregister):
        with pytest.raises(ValueError, match="a name must"):
            call(name)
    with pytest.raises(ValueError, match="a name must"):
        process.spawn(wait_for_end, name=name)
    with pytest.raises(ValueError, match="a name must"), process.attach(name):
        raise AssertionError


@pytest.mark.parametrize("name", [None, 5, b"name"])
def test_a_name_is_a_str(me: PID, name: Any) -> None:
    for call in (registry.register, registry.lookup, registry.unregister):
        with pytest.raises(TypeError, match="a name must"):
            call(name)


def test_what_is_no_process(me: PID) -> None:
    with pytest.raises(TypeError, match="pid must be"):
        registry.register("name", 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a PID"):
        registry.register("name", "another name")


def test_one_of_many_gets_it() -> None:
    for _ in range(50):
        start = threading.Barrier(4)
        got: list[PID] = []

        def claim(start: threading.Barrier = start, got: list[PID] = got) -> None:
            with process.attach() as pid:
                start.wait()
                try:
                    registry.register("contested")
                    got.append(pid)
                except NameTaken:
                    pass
                start.wait()

        threads = [threading.Thread(target=claim) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert len(got) == 1
        until(lambda got=got: gone(got[0]))
