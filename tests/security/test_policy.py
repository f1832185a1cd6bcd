"""Policies by themselves: rules, the check, and what wins."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsfast import errors
from wsfast.errors import InvalidOption, PermissionDenied
from wsfast.protocol.scope import Guard
from wsfast.protocol.url import parse_url
from wsfast.security import URL, Action, Policy, Rule, allow, deny

CONNECT, CONNECT_URL = "websocket.connect", "websocket.connect.url"
ANY = [allow(CONNECT), allow(CONNECT_URL, "*")]
HERE = parse_url("wss://user:secret@example.com:8443/path?token=secret")


def admits(policy: Policy, url: str = "ws://example.com/") -> bool:
    try:
        Guard((policy,)).admit(parse_url(url))
    except PermissionDenied:
        return False
    return True


# ---------------------------------------------------------------- rules


def test_undefined_is_not_allow() -> None:
    assert not admits(Policy())
    assert not admits(Policy([allow(CONNECT)]))
    assert not admits(Policy([allow(CONNECT_URL, "*")]))
    assert not admits(Policy([allow(CONNECT), allow(CONNECT_URL, "example.org")]))
    assert admits(Policy([allow(CONNECT), allow(CONNECT_URL, "example.org", "example.com")]))
    assert admits(Policy(ANY))


def test_deny_wins_over_allow_in_any_order() -> None:
    for denied in deny(CONNECT), deny(CONNECT_URL, "example.com"), deny(CONNECT_URL, "x", "*"):
        assert not admits(Policy([*ANY, denied]))
        assert not admits(Policy([denied, *ANY]))
    assert admits(Policy([*ANY, deny(CONNECT_URL, "*.example.com", "example.com:8080")]))


def test_without_a_port_a_rule_allows_the_default_one_and_denies_all() -> None:
    url = "ws://example.com:8080/"
    assert not admits(Policy([allow(CONNECT), allow(CONNECT_URL, "example.com")]), url)
    assert not admits(Policy([*ANY, deny(CONNECT_URL, "example.com")]), url)
    assert admits(Policy([*ANY, deny(CONNECT_URL, "example.com:80")]), url)


RULES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([None, "*", "example.com", "example.org"]))
)


@given(RULES)
def test_any_rules(drawn: list[tuple[bool, str | None]]) -> None:
    rules, told = [], {CONNECT: set[bool](), CONNECT_URL: set[bool]()}
    for allowed, pattern in drawn:
        make = allow if allowed else deny
        rules.append(make(CONNECT) if pattern is None else make(CONNECT_URL, pattern))
        if pattern != "example.org":
            told[CONNECT if pattern is None else CONNECT_URL].add(allowed)
    assert admits(Policy(rules)) is all(verdicts == {True} for verdicts in told.values())


def test_an_unclear_path_is_denied_and_not_allowed() -> None:
    unclear = "ws://example.com/public/..%2Fadmin"
    assert not admits(Policy([allow(CONNECT), allow(CONNECT_URL, "*/public/*")]), unclear)
    assert not admits(Policy([*ANY, deny(CONNECT_URL, "*/admin")]), unclear)
    assert admits(Policy(ANY), unclear)


def test_several_policies_must_all_allow() -> None:
    one = Policy([allow(CONNECT), allow(CONNECT_URL, "*.example.com")])
    other = Policy([allow(CONNECT), allow(CONNECT_URL, "a.*")])
    guard = Guard((one, other))
    guard.admit(parse_url("ws://a.example.com/"))
    for url in "ws://a.example.org/", "ws://b.example.com/":
        with pytest.raises(PermissionDenied):
            guard.admit(parse_url(url))
    Guard(()).admit(HERE)


def test_what_the_error_says() -> None:
    url = "wss://example.com:8443"
    for policy, text in {
        Policy(): "not allowed by a security policy: websocket.connect",
        Policy([deny(CONNECT)]): "denied by a security policy: websocket.connect",
        Policy([allow(CONNECT)]): f"not allowed by a security policy: websocket.connect.url {url}",
        Policy([*ANY, deny(CONNECT_URL, "*")]): (
            f"denied by a security policy: websocket.connect.url {url}"
        ),
    }.items():
        with pytest.raises(PermissionDenied) as caught:
            Guard((policy,)).admit(HERE)
        assert str(caught.value) == text


# ---------------------------------------------------------------- the check


def test_a_check_is_asked_about_both_actions_in_order() -> None:
    asked: list[tuple[Action, URL | None]] = []

    def check(action: Action, url: URL | None) -> bool:
        asked.append((action, url))
        return True

    Guard((Policy(check=check),)).admit(HERE)
    assert asked == [(Action.CONNECT, None), (Action.CONNECT_URL, HERE)]
    assert asked[0][0] == "websocket.connect"
    assert asked[1][0] == "websocket.connect.url"


@pytest.mark.parametrize("rules", [[], ANY, [*ANY, deny(CONNECT_URL, "*")]])
@pytest.mark.parametrize("verdict", [True, False, None])
def test_rules_and_check_are_one(rules: list[Rule], verdict: bool | None) -> None:
    """Denied by either is denied; allowed by one is enough."""
    policy = Policy(rules, check=lambda action, url: verdict)
    assert admits(policy) is (
        len(rules) < 3 and (verdict is True or (bool(rules) and verdict is None))
    )


def test_what_a_rule_denies_is_not_asked_about() -> None:
    def check(action: Action, url: URL | None) -> bool:
        raise AssertionError("asked")

    with pytest.raises(PermissionDenied) as caught:
        Guard((Policy([deny(CONNECT)], check=check),)).admit(HERE)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), errors.ConnectError("?")])
def test_a_check_that_raises_refuses(error: BaseException) -> None:
    def check(action: Action, url: URL | None) -> bool:
        raise error

    with pytest.raises(PermissionDenied, match=type(error).__name__) as caught:
        Guard((Policy(ANY, check=check),)).admit(HERE)
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("verdict", [1, 0, "yes", "", [], object()])
def test_a_check_that_returns_something_else_refuses(verdict: Any) -> None:
    with pytest.raises(PermissionDenied, match="not bool or None") as caught:
        Guard((Policy(ANY, check=lambda action, url: verdict),)).admit(HERE)
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_check_that_takes_other_arguments_refuses() -> None:
    with pytest.raises(PermissionDenied, match="TypeError"):
        Guard((Policy(ANY, check=lambda: True),)).admit(HERE)  # type: ignore[misc,arg-type]


def test_ctrl_c_in_a_check_is_ctrl_c() -> None:
    def check(action: Action, url: URL | None) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guard((Policy(check=check),)).admit(HERE)


# ---------------------------------------------------------------- addresses

PUBLIC, PRIVATE = (2, ("8.8.8.8", 80)), (2, ("10.0.0.1", 80))


def test_only_public_addresses_are_permitted() -> None:
    guard = Guard((Policy(ANY),))
    assert guard.public_only
    assert guard.permitted("a.test", [PRIVATE, PUBLIC, (10, ("::1", 80, 0, 0))]) == [PUBLIC]
    with pytest.raises(PermissionDenied, match=r"^refused by a security policy: a\.test has no"):
        guard.permitted("a.test", [PRIVATE])


@pytest.mark.parametrize("guard", [Guard(()), Guard((Policy(ANY, allow_private=True),))])
def test_all_addresses_are_permitted(guard: Guard) -> None:
    assert not guard.public_only
    assert guard.permitted("a.test", [PRIVATE, PUBLIC]) == [PRIVATE, PUBLIC]


def test_one_policy_against_private_addresses_is_enough() -> None:
    for policies in (True, False), (False, True):
        guard = Guard(tuple(Policy(ANY, allow_private=private) for private in policies))
        assert guard.permitted("a.test", [PRIVATE, PUBLIC]) == [PUBLIC]


def test_an_address_without_a_known_form_is_not_permitted() -> None:
    """A Python without IPv6 has bytes there; other families have paths."""
    odd: list[tuple[int, Any]] = [(10, (10, b"\x20\x01" + bytes(26))), (1, "/run/socket")]
    with pytest.raises(PermissionDenied):
        Guard((Policy(ANY),)).permitted("a.test", odd)


# ---------------------------------------------------------------- values


def test_policies_are_values() -> None:
    policy = Policy((allow(CONNECT), deny(CONNECT_URL, "*.example.com/a*")), allow_private=True)
    assert policy == Policy([*policy.rules], allow_private=True)
    assert policy != Policy(policy.rules)
    assert hash(policy) == hash(copy.deepcopy(policy))
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert not admits(
        pickle.loads(pickle.dumps(Policy([*ANY, *policy.rules]))), "ws://a.example.com/a"
    )
    with pytest.raises(AttributeError):
        policy.allow_private = False  # type: ignore[misc]
    assert "allow_private=True" in repr(policy)
    assert "'*.example.com/a*'" in repr(policy)


def test_later_changes_to_the_list_of_rules_do_not_count() -> None:
    rules: list[Rule] = []
    policy = Policy(rules)
    rules += ANY
    assert not admits(policy)
    assert Policy(iter(ANY)).rules == tuple(ANY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Policy(ANY[0]),
        lambda: Policy("websocket.connect"),
        lambda: Policy(["websocket.connect"]),
        lambda: Policy(None),
        lambda: Policy(ANY, True),
        lambda: Policy(ANY, allow_private=None),
        lambda: Policy(ANY, allow_private=1),
        lambda: Policy(ANY, check=True),
        lambda: allow(None),
        lambda: allow(CONNECT, "*"),
        lambda: allow(CONNECT_URL),
        lambda: deny(CONNECT_URL, *[]),
        lambda: deny(CONNECT_URL, ["*"]),
        lambda: Rule(None, CONNECT),
        lambda: Rule(True, CONNECT_URL, "*"),
    ],
)
def test_wrong_types(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize("action", ["", "*", "websocket", "websocket.connect ", "connect"])
def test_unknown_actions(action: str) -> None:
    with pytest.raises(InvalidOption, match="one of websocket.connect, websocket.connect.url"):
        allow(action)


def test_actions_are_their_names() -> None:
    assert allow(Action.CONNECT) == allow("websocket.connect")
    assert [*map(str, Action)] == [CONNECT, CONNECT_URL]
