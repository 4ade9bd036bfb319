# SPDX-License-Identifier: EUPL-1.2

"""Reading a configuration again: what it becomes, and what stays as it was."""

from pathlib import Path

import pytest

from adapter.config import Config, ConfigFiles, ConfigProblem, Renewal, load_config, without

MAIN = """environment = "test"
state = "var"
[ebms]
listen = "127.0.0.1:0"
"""


def oin(number: int) -> str:
    return f"urn:osb:oin:0000000100000000{number}000"


class Files:
    """A main file and one for each authority; `party` is a number, which makes an OIN."""

    def __init__(self, directory: Path) -> None:
        self.main = directory / "stam-adapter.toml"
        self.main.write_text(MAIN)
        (directory / "authorities.d").mkdir()
        for number, name in enumerate(("adorp", "bestad"), start=1):
            self.write(name, number)
        self.environ: dict[str, str] = {}
        self.current = self.load()
        self.files = ConfigFiles(self.main, self.environ)

    def load(self) -> Config:
        return load_config(self.main, self.environ)

    def path(self, name: str) -> Path:
        return self.main.parent / "authorities.d" / f"{name}.toml"

    def write(self, name: str, party: int, more: str = "") -> None:
        self.path(name).write_text(
            f'party = "{oin(party)}"\ncertificate = "{name}.pem"\nkey = "{name}.key"\n{more}\n'
        )

    def renew(self, *, thorough: bool = False) -> Renewal:
        found = self.files.renew(self.current, thorough=thorough)
        self.current = found.config
        return found


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_what_did_not_change_is_the_same_object(files: Files) -> None:
    before = files.current
    files.write("bestad", 2, "cpas = []")
    found = files.renew()
    assert found.config.authorities["adorp"] is before.authorities["adorp"]
    assert (
        found.config.authorities["bestad"] is before.authorities["bestad"]
    )  # it says the same in other words
    assert (found.broken, found.main, found.restart) == ({}, (), ())


def test_a_tables_of_the_main_file_come_and_go_too(files: Files) -> None:
    text = f'{MAIN}[authorities.cehoven]\nparty = "{oin(3)}"\ncertificate = "c.pem"\nkey = "c.key"\n'
    files.main.write_text(text)
    assert files.renew().config.authorities["cehoven"].certificate == files.main.parent / "c.pem"
    files.main.write_text(MAIN)
    assert set(files.renew().config.authorities) == {"adorp", "bestad"}


def test_an_authority_may_move_from_the_one_place_to_the_other(files: Files) -> None:
    table = files.path("adorp").read_text()
    files.path("adorp").unlink()
    files.main.write_text(f"{MAIN}[authorities.adorp]\n{table}")
    before = files.current
    assert files.renew().config.authorities["adorp"] is before.authorities["adorp"]


def test_two_may_exchange_their_parties(files: Files) -> None:
    files.write("adorp", 2)
    files.write("bestad", 1)
    found = files.renew()
    assert found.broken == {}
    assert found.config.authorities["adorp"].party == oin(2)


def test_where_one_cannot_change_the_other_stays_too_as_far_as_they_would_clash(files: Files) -> None:
    files.write("adorp", 2)
    files.write("bestad", 1)
    before = files.current
    found = files.renew()
    after, clashes = without(before, found.config, {"bestad": ("its key does not fit",)}, found.origin)
    assert dict(after.authorities) == dict(before.authorities)
    assert list(clashes) == ["adorp"]
    assert "is also the party of authority bestad" in clashes["adorp"][0]


def test_what_only_clashes_with_one_that_is_refused_comes_in(files: Files) -> None:
    files.write("adorp", 2, 'sink = "none"\n')
    files.write("bestad", 2, "cpas = ['b.xml']")
    found = files.renew()
    assert list(found.broken) == ["adorp"]
    assert len(found.config.authorities["bestad"].cpas) == 1
    files.write("adorp", 2)
    files.write("bestad", 2)
    assert list(files.renew().broken) == ["adorp"]


def test_an_authority_that_a_user_may_see_is_missed(files: Files) -> None:
    users = '[[admin.users]]\nname = "beheer"\ntoken_file = "t"\nrole = "look"\nauthorities = ["bestad"]\n'
    files.main.write_text(MAIN + users)
    assert files.renew().restart == ("[admin] users",)
    files.path("bestad").unlink()
    found = files.renew()
    assert set(found.config.authorities) == {"adorp"}
    assert "no authority is called 'bestad'" in found.main[0]


def test_environment_variables_count_as_at_start(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.environ["STAM_ADAPTER__AUTHORITIES__ADORP__CERTIFICATE"] = "other.pem"
    files.files = ConfigFiles(files.main, files.environ)
    for _ in range(2):
        assert files.renew().config.authorities["adorp"].certificate == tmp_path / "other.pem"
    files.write("adorp", 1, "x = 1")
    assert "adorp.toml:4: x: unknown key" in files.renew().broken["adorp"][0]


def test_what_an_editor_keeps_beside_a_file_is_no_authority(files: Files) -> None:
    files.path(".adorp").write_text("half")
    assert set(files.load().authorities) == {"adorp", "bestad"}
    assert files.renew().broken == {}


def test_a_directory_that_cannot_be_read_withdraws_nobody(files: Files) -> None:
    directory = files.path("adorp").parent
    directory.rename(directory.with_name("aside"))
    directory.write_text("in its place")
    found = files.renew()
    assert set(found.config.authorities) == set(found.broken) == {"adorp", "bestad"}
    assert "authorities.d: cannot be read (Not a directory)" in found.main[0]
    assert list(files.files.marks()) == [files.main]
    with pytest.raises(ConfigProblem, match="cannot be read"):
        files.load()


def test_an_empty_directory_withdraws_all(files: Files) -> None:
    for name in ("adorp", "bestad"):
        files.path(name).unlink()
    assert dict(files.renew().config.authorities) == {}


def test_a_name_that_is_none_is_said(files: Files) -> None:
    files.write("a dorp", 3)
    found = files.renew()
    assert "is not a name" in found.broken["a dorp"][0]
    assert set(found.config.authorities) == {"adorp", "bestad"}


def test_a_file_with_the_same_mark_is_read_again_where_that_is_asked(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.config.reload.mark_of", lambda _: (1, 1, 1, 1))
    files.renew()
    files.write("adorp", 5)
    assert files.renew().config.authorities["adorp"].party == oin(1)
    assert files.renew(thorough=True).config.authorities["adorp"].party == oin(5)


def test_a_problem_found_later_is_said_with_the_file_and_line_that_there_are_now(files: Files) -> None:
    files.write("cehoven", 3)
    files.write("adorp", 1, 'cpas = [\n  "een.xml",\n  "twee.xml",\n]')
    config = files.renew().config
    new = config.problem_with(
        ("authorities", "cehoven"), config.authorities["cehoven"], f"{files.main.parent}/cehoven.key: x"
    )
    assert new.startswith(f"{files.path('cehoven')}:3: key: ")
    assert config.problem(("authorities", "adorp", "cpas", 1), "x") == f"{files.path('adorp')}:6: cpas[1]: x"
