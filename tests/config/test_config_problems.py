# SPDX-License-Identifier: EUPL-1.2

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.config import Config, ConfigProblem, load_config

Load = Callable[..., Config]
Problems = Callable[..., tuple[str, ...]]

DORP = """
party = "urn:osb:oin:00000003123456780000"
certificate = "dorp.pem"
key = "dorp.key"
sinks.hier = { type = "directory", path = "/srv/dorp" }
"""


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("[authorities.stad.sink]\n", "authorities.stad.sink: unknown key; did you mean `sinks`?"),
        ("[ebmss]\n", "ebmss: unknown key; did you mean `ebms`?"),
        ("[ebms]\nlisten_on = 1\n", "ebms.listen_on: unknown key; did you mean `listen`?"),
        (
            "[ebms.tls]\nkey='k'\ncert='c'\ncertificate='c'\n",
            "ebms.tls.cert: unknown key; did you mean `certificate`?",
        ),
        (
            '[authorities.stad.agreements."CPA 1"]\nactsfor = []\n',
            'authorities.stad.agreements."CPA 1".actsfor: unknown key; did you mean `acts_for`?',
        ),
        (
            "[[authorities.stad.routes]]\nflow='message'\nsink='archief'\nservise='x'\n",
            "authorities.stad.routes[1].servise: unknown key; did you mean `service`?",
        ),
        (
            "[log]\nxyzzy = 1\n",
            "log.xyzzy: unknown key; known are `format`, `level`",
        ),
        (
            "[log]\nlevel = 'loud'\n",
            "log.level: 'loud' is not known; use 'debug', 'info', 'warning', 'error' or 'critical'",
        ),
        ("[trust]\nroots = 'x.pem'\n", 'trust.roots: is not a list; write ["…", "…"]'),
        ("[ebms.tls]\nkey = 'k'\n", "ebms.tls.certificate: is missing; add it"),
        ("[ebms]\npath = 3\n", 'ebms.path: is not text; write it between quotes, as "…"'),
        (
            "[store]\nurl = 'mysql://x'\n",
            'store.url: is not a database; write "sqlite" or "postgresql://user@host/db"',
        ),
        *(
            (
                f"[store]\npayloads = '{place}'\n",
                'store.payloads: is not a place for payloads; write "file" or "s3://bucket/prefix"',
            )
            for place in (
                "files",
                "s3://",
                "s3://Bucket",
                "s3://bucket//x",
                "s3://bucket/../x",
                "s3://bucket/a b",
                "https://bucket",
            )
        ),
        ("[store.s3]\naccess_key = 'x'\n", "store.s3: access_key and secret_key_file go together"),
        *(
            (f"[store.s3]\nendpoint = '{url}'\n", "store.s3.endpoint: is not the address of a server")
            for url in ("s3.example.nl", "ftp://s3.example.nl", "https://s3.example.nl/bucket", "https://u@h")
        ),
        (
            "[authorities.'a b']\nparty='00000001001100415000'\ncertificate='a'\nkey='b'\n",
            'authorities."a b": is not a name',
        ),
        ("[authorities.stad.sinks.x]\npath = 'y'\n", "authorities.stad.sinks.x: has no type"),
        (
            "[authorities.stad.agreements.A]\nacts_for = ['12']\n",
            "authorities.stad.agreements.A.acts_for[0]: '12' is not an OIN",
        ),
        (
            "[authorities.stad.agreements.A]\nstrict = true\nlenient = true\n",
            "authorities.stad.agreements.A: lenient and strict",
        ),
        ("[authorities.stad.dso]\nurl = 'x'\n", "authorities.stad.dso.url: is not a base URL"),
        (
            "[authorities.stad.dso]\nurl='http://h'\nkey='k'\n",
            "authorities.stad.dso: certificate and key go together",
        ),
        (
            "[authorities.stad.dso]\nurl='http://h'\nreferences='/x'\n",
            "authorities.stad.dso.references: has no {verzoeknummer}",
        ),
        ("[ebms]\ntrusted_proxies=['proxy']\n", "ebms.trusted_proxies[0]: 'proxy' is not an IP address"),
        ("[ebms]\ntrusted_proxies=['0.0.0.0/0']\n", "ebms.trusted_proxies[0]: 0.0.0.0/0 is everybody; give"),
        ("[admin]\ntrusted_proxies=['::/0']\n", "admin.trusted_proxies[0]: ::/0 is everybody; give"),
        ("[ebms]\nnetworks=['DSO-LV']\n", "ebms.networks[0]: 'DSO-LV' is not an IP address or network"),
        ("[ebms.proxy]\nform='nginx'\n", "ebms.proxy: has no effect without ebms.trusted_proxies; add"),
        (
            "[ebms]\ntrusted_proxies=['10.0.0.2']\n[ebms.proxy]\ncertificate='00000001001100415000'\n",
            "ebms.proxy.certificate: cannot be seen over plain HTTP; add [ebms.tls]",
        ),
        (
            "[ebms.proxy]\ncertificate='proxy'\n",
            "ebms.proxy.certificate: 'proxy' is neither an OIN nor a SHA-256",
        ),
        (
            "[ebms.proxy]\nheader='SSL_CLIENT_CERT'\n",
            "ebms.proxy.header: 'SSL_CLIENT_CERT' is not the name of a",
        ),
        ("[ebms.proxy]\nform='envoy'\n", "ebms.proxy.form: "),
        ("[retries]\nfirst='2h'\n", "retries: first, max and give_up are out of order"),
        ("[limits]\nconcurrency=0\n", "limits.concurrency: "),
    ],
)
def test_a_problem_names_file_key_and_fix(problems: Problems, small: str, extra: str, problem: str) -> None:
    (found,) = problems(small + extra)
    assert found.startswith(f"adapter.toml: {problem}")


def test_all_problems_come_at_once(problems: Problems) -> None:
    assert len(problems('environment = "tset"\nstatus = 1\n[ebms]\nlisten = "x"\n')) == 3


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblem, match=r"gone\.toml: cannot be read \(No such file"):
        load_config(tmp_path / "gone.toml", {})


def test_a_file_that_is_not_utf_8_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "adapter.toml").write_bytes(b'state = "\xe9"')
    with pytest.raises(ConfigProblem, match="is not UTF-8"):
        load_config(tmp_path / "adapter.toml", {})


def test_a_problem_in_the_file_of_an_authority_names_that_file(problems: Problems, small: str) -> None:
    more = {"authorities.d/dorp.toml": DORP + "sink = 1\n"}
    assert problems(small, more=more) == (
        "authorities.d/dorp.toml: sink: unknown key; did you mean `sinks`?",
    )


def test_an_authority_in_two_places_is_a_problem(problems: Problems, small: str) -> None:
    assert problems(small, more={"authorities.d/stad.toml": DORP}) == (
        "authorities.d/stad.toml: authority stad is also in adapter.toml; keep one of the two",
    )


def test_a_problem_in_the_environment_names_the_variable(problems: Problems, small: str) -> None:
    assert problems(small, {"STAM_ADAPTER__EBSM__LISTEN": "x:1"}) == (
        "environment variable STAM_ADAPTER__EBSM__LISTEN: ebsm: unknown key; did you mean `ebms`?",
    )
    (found,) = problems(small, {"STAM_ADAPTER__TRUST__ROOTS": "[broken"})
    assert found.startswith("environment variable STAM_ADAPTER__TRUST__ROOTS: trust.roots: is not a list")


@pytest.mark.parametrize(
    "name", ["", "__LISTEN", "EBMS__", "ENVIRONMENT__X", "AUTHORITIES__STAD__ROUTES__0__FLOW"]
)
def test_a_variable_that_names_no_place_is_a_problem(problems: Problems, small: str, name: str) -> None:
    (found,) = problems(small, {f"STAM_ADAPTER__{name}": "1"})
    assert "names no place in the configuration" in found


@pytest.mark.parametrize("environment", ["pre", "prod"])
def test_plain_http_is_for_tests_only(problems: Problems, load: Load, whole: str, environment: str) -> None:
    text = whole.replace('"pre"', f'"{environment}"', 1)
    tls = '[ebms.tls]\ncertificate = "tls/server.pem"\nkey = "tls/server.key"\n'
    plain = text.replace(tls, "")
    assert problems(plain) == (
        f"adapter.toml: ebms: plain HTTP is not allowed in environment {environment}; "
        "add [ebms.tls], or trusted_proxies where a proxy does TLS",
    )
    load(plain.replace("trusted_proxies = []", 'trusted_proxies = ["10.0.0.0/24"]'))
    load(plain.replace(f'"{environment}"', '"test"', 1))


def test_an_admin_listener_off_loopback_needs_tls(problems: Problems, load: Load, whole: str) -> None:
    open_admin = whole.replace("127.0.0.1:8080", "0.0.0.0:8080")
    (found,) = problems(open_admin)
    assert found.startswith("adapter.toml: admin.listen: plain HTTP off loopback")
    load(open_admin + "[admin.tls]\ncertificate = 'a'\nkey = 'b'\n")
    load(open_admin.replace("[[admin.users]]", 'trusted_proxies = ["10.0.0.7"]\n[[admin.users]]'))
    load(open_admin.replace('"pre"', '"test"', 1))


def test_roots_are_needed_outside_tests(problems: Problems, whole: str) -> None:
    (found,) = problems(whole.replace('"tls/pkioverheid-private-g1.pem"', ""))
    assert found.startswith("adapter.toml: trust.roots: is empty")


def test_plain_http_to_dso_lv_is_for_tests_only(problems: Problems, whole: str) -> None:
    (found,) = problems(whole.replace("https://pkio", "http://pkio"))
    assert found.startswith("adapter.toml: authorities.voorbeeldstad.dso.url: plain HTTP")


def test_a_party_of_a_test_environment_is_not_for_production(
    problems: Problems, load: Load, whole: str
) -> None:
    suffixed = whole.replace("00000001001100415000", "00000001001100415000_T")
    load(suffixed)
    (found,) = problems(suffixed.replace('"pre"', '"prod"', 1))
    assert "has a suffix of a test environment" in found


def test_flow_stam_needs_dso(problems: Problems, small: str) -> None:
    (found,) = problems(small.replace('"message"', '"stam"'))
    assert found.startswith('adapter.toml: authorities.stad.routes[0].flow: flow "stam"')


def test_a_route_to_an_unknown_sink_suggests_the_nearest(problems: Problems, small: str) -> None:
    assert problems(small.replace('sink = "archief"', 'sink = "archive"')) == (
        "adapter.toml: authorities.stad.routes[0].sink: this authority has no sink 'archive'; "
        "did you mean `archief`?",
    )


def test_two_authorities_may_not_share_a_directory(problems: Problems, small: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/srv")
    shared = DORP.replace("/srv/dorp", "link/stad")
    assert problems(small, more={"authorities.d/dorp.toml": shared}) == (
        "authorities.d/dorp.toml: sinks.hier.path: link/stad is also the path of a sink of authority stad; "
        "give each authority its own",
    )


def in_bucket(text: str, url: str) -> str:
    """A configuration of which the sink delivers into a bucket instead of a directory."""
    directory = re.compile(r'type = "directory"(\n|, )path = "[^"]+"')
    return directory.sub(rf'type = "s3"\1url = "{url}"', text)


def test_two_authorities_may_not_share_a_place_in_a_bucket(problems: Problems, small: str) -> None:
    other = {"authorities.d/dorp.toml": in_bucket(DORP, "s3://verzoeken/hier/")}
    assert problems(in_bucket(small, "s3://verzoeken/hier"), more=other) == (
        "authorities.d/dorp.toml: sinks.hier.url: s3://verzoeken/hier/ is also the url of a sink of authority stad; "
        "give each authority its own",
    )


def test_two_authorities_may_share_a_bucket(load: Load, small: str) -> None:
    other = {"authorities.d/dorp.toml": in_bucket(DORP, "s3://verzoeken/dorp")}
    load(in_bucket(small, "s3://verzoeken/stad"), more=other)


def test_a_sink_does_not_deliver_where_payloads_are_kept(problems: Problems, small: str) -> None:
    store = '\n[store]\npayloads = "s3://verzoeken/stad/"\n'
    (found,) = problems(in_bucket(small, "s3://verzoeken/stad") + store)
    assert found.endswith("s3://verzoeken/stad is also [store] payloads; deliver to another bucket or prefix")


@pytest.mark.parametrize("environment", ["pre", "prod"])
def test_an_object_store_over_plain_http_is_only_for_tests(
    problems: Problems, load: Load, whole: str, environment: str
) -> None:
    text = whole.replace('"pre"', f'"{environment}"', 1) + '\n[store.s3]\nendpoint = "http://s3.example.nl"\n'
    assert (
        f"adapter.toml: store.s3.endpoint: plain HTTP is not allowed in environment {environment}"
        in "".join(problems(text))
    )
    load(text.replace(f'"{environment}"', '"test"', 1))


@pytest.mark.parametrize("prefix", ["urn:osb:oin:", ""])
def test_two_authorities_may_not_have_the_same_party(problems: Problems, small: str, prefix: str) -> None:
    twin = DORP.replace("urn:osb:oin:00000003123456780000", prefix + "00000001001100415000")
    (found,) = problems(small, more={"authorities.d/dorp.toml": twin})
    assert "is also the party of authority stad" in found


@pytest.mark.parametrize("party", ["", "stad", "urn:osb:oin:", "urn:osb:oin:123", "00000001001100415000_X"])
def test_a_party_is_a_party_id(problems: Problems, small: str, party: str) -> None:
    (found,) = problems(small.replace("urn:osb:oin:00000001001100415000", party))
    assert found.startswith(f"adapter.toml: authorities.stad.party: {party!r} is not a PartyId")


def test_a_user_of_an_unknown_authority_is_a_problem(problems: Problems, small: str) -> None:
    user = "[[admin.users]]\nname = 'a'\ntoken_file = 't'\nrole = 'look'\nauthorities = ['stat']\n"
    first, second = problems(small + user + user.replace("stat", "*"))
    assert first.endswith("admin.users[0].authorities: no authority is called 'stat'; did you mean `stad`?")
    assert "user a is there twice" in second


def test_production_refuses_whom_it_cannot_judge(problems: Problems, load: Load, whole: str) -> None:
    for mode in ("soft", "off"):
        text = f'{whole}\n[trust.revocation]\nmode = "{mode}"\n'
        assert load(text).revocation == mode
        (found,) = problems(text.replace('"pre"', '"prod"', 1))
        assert found.startswith(f"adapter.toml: trust.revocation.mode: {mode} is not allowed")


def test_revocation_lists_are_fetched_every_four_hours_at_least(
    problems: Problems, load: Load, whole: str
) -> None:
    text = f'{whole}\n[trust.revocation]\nrefresh = "5h"\n'
    (found,) = problems(text)
    assert found.startswith("adapter.toml: trust.revocation.refresh: is too seldom")
    load(text.replace('"5h"', '"4h"'))


def test_the_address_of_a_list_is_of_the_web(problems: Problems, whole: str) -> None:
    (found,) = problems(f'{whole}\n[trust.revocation]\nurls = ["file:///etc/passwd"]\n')
    assert "is not the address of a list" in found
