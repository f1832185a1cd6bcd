"""PIDs, and what is taken for one."""

import copy
import dataclasses
import pickle
import socket

import pytest

from wsfast import process
from wsfast.process import PID
from wsfast.process.node import Node


def test_its_text_round_trips(me: PID) -> None:
    assert str(me) == f"{{{me.node}@{me.host}|{me.id}}}"
    assert PID.parse(str(me)) == me
    assert hash(PID.parse(str(me))) == hash(me)


def test_it_is_frozen_and_can_be_copied(me: PID) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        me.id = 7  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(me)) == copy.deepcopy(me) == me
    assert len({me, PID.parse(str(me))}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "{node@host}",
        "{node@host|}",
        "{node@host|0}",
        "{node@host|01}",
        "{node@host|-1}",
        "{node@host|1} ",
        "{node@host|١}",
        "{no de@host|1}",
        "{node@ho/st|1}",
        "{node@@host|1}",
        "{node@host|1}\n",
        "{" + "n" * 65 + "@host|1}",
        "{node@host|" + "9" * 30 + "}",
    ],
)
def test_nothing_else_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="not a PID"):
        PID.parse(text)


def test_only_text_is_parsed() -> None:
    with pytest.raises(TypeError, match="int"):
        PID.parse(5)  # type: ignore[arg-type]


def test_an_odd_host_name_makes_a_pid_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, host in (("web 1|x", "web-1-x"), ("", "localhost"), ("h" * 99, "h" * 64)):
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        pid = Node().add(1, False).pid
        assert pid.host == host
        assert PID.parse(str(pid)) == pid


def test_nodes_differ() -> None:
    assert Node().name != Node().name


@pytest.mark.parametrize("wrong", [5, None, b"name", ("a", "b", 1)])
def test_a_destination_is_a_pid_or_a_str(me: PID, wrong: object) -> None:
    calls = [process.send, process.monitor, process.unmonitor, process.link, process.unlink]
    for call in (*calls, process.cancel):
        arguments = (wrong, "topic") if call is process.send else (wrong,)
        with pytest.raises(TypeError, match="PID or a str"):
            call(*arguments)  # type: ignore[operator]


def test_what_begins_as_a_pid_has_to_be_one(me: PID) -> None:
    for call in (process.monitor, process.unmonitor, process.link, process.unlink, process.cancel):
        with pytest.raises(ValueError, match="not a PID"):
            call("{5}")  # type: ignore[operator]
    with pytest.raises(ValueError, match="not a PID"):
        process.send("{5}", "topic")
