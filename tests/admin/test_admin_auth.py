# SPDX-License-Identifier: EUPL-1.2

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import make_mocked_request

from adapter.admin.auth import NotAuthenticated, User, Users, load_users, weakness
from adapter.admin.budget import Budget
from adapter.admin.logins import FailedLogins, Failures, is_cross_site
from adapter.config import AdminUser, ConfigProblem, Role

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def user(path: Path, content: str, name: str = "beheer", role: Role = Role.LOOK) -> AdminUser:
    file = path / f"{name}.token"
    file.write_text(content)
    return AdminUser(name=name, token_file=file, role=role, authorities=("*",))


def test_a_token_file_holds_the_token_or_its_digest(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"geheim").hexdigest()
    plain = load_users([user(tmp_path, "geheim\n")], strict=False).users[0]
    hashed = load_users([user(tmp_path, f"sha256:{digest}\n")], strict=False).users[0]
    assert plain.token == hashed.token
    assert "geheim" not in repr(plain)


@pytest.mark.parametrize("content", ["", "\n", "sha256:12", "sha256:", "een\ntwee"])
def test_a_token_file_without_one_token_is_a_configuration_problem(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigProblem) as problem:
        load_users([user(tmp_path, content)], strict=False)
    assert "beheer.token" in problem.value.problems[0]


def test_every_token_problem_is_told_at_once(tmp_path: Path) -> None:
    missing = AdminUser(name="weg", token_file=tmp_path / "weg", role=Role.LOOK, authorities=("*",))
    with pytest.raises(ConfigProblem) as problem:
        load_users([missing, user(tmp_path, "", "leeg")], strict=False)
    assert len(problem.value.problems) == 2


def test_two_users_may_not_share_a_token(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match="token of user een"):
        load_users([user(tmp_path, "zelfde", "een"), user(tmp_path, "zelfde", "twee")], strict=False)


def test_roles_include_the_ones_before() -> None:
    allowed = {role: [User("x", {"*": role}).may(asked) for asked in Role] for role in Role}
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
    users = load_users([user(tmp_path, "geheim")], strict=False)
    with pytest.raises(NotAuthenticated):
        users.authenticate(header)


def test_nobody_is_a_user_where_there_are_none() -> None:
    with pytest.raises(NotAuthenticated):
        Users().authenticate("Bearer ")


def failed_logins(most: int, of_name: int = 100) -> FailedLogins:
    return FailedLogins(Failures(most), Failures(of_name))


def test_an_address_waits_after_failed_logins_until_the_window_ends() -> None:
    failed = failed_logins(2)
    failed.note("192.0.2.1", None, NOW)
    assert failed.wait("192.0.2.1", None, NOW) is None
    failed.note("192.0.2.1", None, NOW + timedelta(seconds=20))
    assert failed.wait("192.0.2.1", None, NOW + timedelta(seconds=20)) == timedelta(seconds=40)
    assert failed.wait("192.0.2.2", None, NOW) is None
    assert failed.wait("192.0.2.1", None, NOW + timedelta(seconds=60)) is None


def test_failures_of_a_window_that_ended_do_not_count() -> None:
    failed = failed_logins(2)
    failed.note("192.0.2.1", None, NOW)
    failed.note("192.0.2.1", None, NOW + timedelta(minutes=2))
    assert failed.wait("192.0.2.1", None, NOW + timedelta(minutes=2)) is None


def test_a_subscriber_cannot_spread_guesses_over_ipv6_addresses() -> None:
    failed = failed_logins(2)
    failed.note("2001:db8::1", None, NOW)
    failed.note("2001:db8::2", None, NOW)
    assert failed.wait("2001:db8::3", None, NOW) is not None
    assert failed.wait("2001:db8:0:1::3", None, NOW) is None


def test_guesses_from_many_addresses_are_stopped_by_the_name_but_not_for_who_logged_in_before() -> None:
    failed = failed_logins(10, of_name=3)
    failed.succeeded("198.51.100.1", "beheer")
    for last in range(3):
        failed.note(f"192.0.2.{last}", "beheer", NOW)
    assert failed.wait("192.0.2.99", "beheer", NOW) == timedelta(minutes=1)
    assert failed.wait("198.51.100.1", "beheer", NOW) is None
    assert failed.wait("192.0.2.99", "kijker", NOW) is None


def test_the_memory_of_failed_logins_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.admin.logins._MAX_KEYS", 3)
    failed = failed_logins(1)
    for last in range(5):
        failed.note(f"192.0.2.{last}", None, NOW)
        failed.succeeded("198.51.100.1", f"user{last}")
    waiting = [last for last in range(5) if failed.wait(f"192.0.2.{last}", None, NOW) is not None]
    assert waiting == [2, 3, 4]
    assert len(failed._at_home) == 3


def test_a_budget_is_spent_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = Budget(2.0)
    assert [budget.take("een", NOW) for _ in range(4)] == [None] * 4
    assert budget.take("een", NOW) == timedelta(seconds=0.5)
    assert budget.take("twee", NOW) is None
    later = NOW + timedelta(seconds=0.5)
    assert budget.take("een", later) is None
    assert budget.take("een", later) is not None
    monkeypatch.setattr("adapter.admin.budget._MAX_NAMES", 2)
    for name in ("drie", "vier", "vijf"):
        budget.take(name, NOW)
    assert len(budget._left) == 2


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


STRONG_TOKEN = "f3a9c1d27e5b8046f3a9c1d27e5b8046"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_token_file_that_others_may_use_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    one = user(tmp_path, STRONG_TOKEN)
    assert one.token_file is not None
    one.token_file.chmod(mode)
    with pytest.raises(ConfigProblem, match=f"chmod 600 {one.token_file}"):
        load_users([one], strict=True)
    assert load_users([one], strict=False).users
    one.token_file.chmod(0o600)
    assert load_users([one], strict=True).users


@pytest.mark.parametrize(
    ("token", "weak"),
    [
        ("geheim", True),
        ("a" * 64, True),
        ("abababababababababababababababab", True),
        (STRONG_TOKEN, False),
        ("sha256:" + "0" * 64, False),
    ],
)
def test_a_token_that_might_be_guessed_is_told_without_it(tmp_path: Path, token: str, weak: bool) -> None:
    problem = weakness(user(tmp_path, token))
    assert (problem is not None) is weak
    assert token not in (problem or "")


def test_a_token_file_that_is_no_text_does_not_repeat_it(tmp_path: Path) -> None:
    one = user(tmp_path, "")
    assert one.token_file is not None
    one.token_file.write_bytes(b"\xff\xfegeheim")
    with pytest.raises(ConfigProblem) as problem:
        load_users([one], strict=False)
    assert "geheim" not in str(problem.value)
