import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from adapter.admin.auth import NotAuthenticated, User, Users, load_users
from adapter.admin.logins import FailedLogins, is_cross_site
from adapter.config import AdminUser, ConfigProblem, Role

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def user(path: Path, content: str, name: str = "beheer", role: Role = Role.LOOK) -> AdminUser:
    file = path / f"{name}.token"
    file.write_text(content)
    return AdminUser(name=name, token_file=file, role=role, authorities=("*",))


def test_a_token_file_holds_the_token_or_its_digest(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"geheim").hexdigest()
    plain = load_users([user(tmp_path, "geheim\n")]).users[0]
    hashed = load_users([user(tmp_path, f"sha256:{digest}\n")]).users[0]
    assert plain.token == hashed.token
    assert "geheim" not in repr(plain)


@pytest.mark.parametrize("content", ["", "\n", "sha256:12", "sha256:", "een\ntwee"])
def test_a_token_file_without_one_token_is_a_configuration_problem(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigProblem) as problem:
        load_users([user(tmp_path, content)])
    assert "beheer.token" in problem.value.problems[0]


def test_every_token_problem_is_told_at_once(tmp_path: Path) -> None:
    missing = AdminUser(name="weg", token_file=tmp_path / "weg", role=Role.LOOK, authorities=("*",))
    with pytest.raises(ConfigProblem) as problem:
        load_users([missing, user(tmp_path, "", "leeg")])
    assert len(problem.value.problems) == 2


def test_two_users_may_not_share_a_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="token of user een"):
        load_users([user(tmp_path, "zelfde", "een"), user(tmp_path, "zelfde", "twee")])


def test_roles_include_the_ones_before() -> None:
    allowed = {role: [User("x", role, frozenset(), b"").may(asked) for asked in Role] for role in Role}
    assert allowed == {
        Role.LOOK: [True, False, False],
        Role.REPAIR: [True, True, False],
        Role.ADMINISTER: [True, True, True],
    }


@pytest.mark.parametrize(
    "header",
    ["Digest x", "Bearer", "Bearer x", "Basic", "Basic !!", "Basic /w==", "Basic bm9jb2xvbg==", "", "geheim"],
)
def test_credentials_that_name_nobody_are_refused(tmp_path: Path, header: str) -> None:
    users = load_users([user(tmp_path, "geheim")])
    with pytest.raises(NotAuthenticated):
        users.authenticate(header)


def test_nobody_is_a_user_where_there_are_none() -> None:
    with pytest.raises(NotAuthenticated):
        Users().authenticate("Bearer ")


def test_an_address_waits_after_failed_logins_until_the_window_ends() -> None:
    failed = FailedLogins(max_failures=2)
    failed.note("192.0.2.1", NOW)
    assert failed.wait("192.0.2.1", NOW) is None
    failed.note("192.0.2.1", NOW + timedelta(seconds=20))
    assert failed.wait("192.0.2.1", NOW + timedelta(seconds=20)) == timedelta(seconds=40)
    assert failed.wait("192.0.2.2", NOW) is None
    assert failed.wait("192.0.2.1", NOW + timedelta(seconds=60)) is None


def test_failures_of_a_window_that_ended_do_not_count() -> None:
    failed = FailedLogins(max_failures=2)
    failed.note("192.0.2.1", NOW)
    failed.note("192.0.2.1", NOW + timedelta(minutes=2))
    assert failed.wait("192.0.2.1", NOW + timedelta(minutes=2)) is None


def test_a_subscriber_cannot_spread_guesses_over_ipv6_addresses() -> None:
    failed = FailedLogins(max_failures=2)
    failed.note("2001:db8::1", NOW)
    failed.note("2001:db8::2", NOW)
    assert failed.wait("2001:db8::3", NOW) is not None
    assert failed.wait("2001:db8:0:1::3", NOW) is None


def test_the_memory_of_failed_logins_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.admin.logins._MAX_ADDRESSES", 3)
    failed = FailedLogins(max_failures=1)
    for last in range(5):
        failed.note(f"192.0.2.{last}", NOW)
    waiting = [last for last in range(5) if failed.wait(f"192.0.2.{last}", NOW) is not None]
    assert waiting == [2, 3, 4]


@pytest.mark.parametrize(
    ("headers", "cross"),
    [
        ({}, False),
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "https://adapter.example", "Host": "adapter.example"}, False),
        ({"Origin": "https://evil.example", "Host": "adapter.example"}, True),
        ({"Origin": "null", "Host": "adapter.example"}, True),
    ],
)
def test_a_browser_cannot_be_made_to_call_by_another_site(headers: dict[str, str], cross: bool) -> None:
    assert is_cross_site(make_mocked_request("POST", "/", headers=headers)) is cross
