"""No spelling, name or redirect leads the door to a place that is not public."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from gelatoconnect.lib import http
from gelatoconnect.lib.http.addresses import is_public, read
from tests.lib.fake_dns import PUBLIC, PUBLIC_V6, Connections, FakeDns
from tests.lib.hostile import Visit, answer, failure, redirecting, saying, serving

NOT_PUBLIC = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.1.2.3", "127.255.255.254",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "168.63.129.16",
    "::", "::1", "0:0:0:0:0:0:0:1", "::127.0.0.1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "::ffff:168.63.129.16", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::10.0.0.1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:10::1",
    "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip

INVALID_SPELLINGS = [
    # loopback and metadata as numbers: decimal, octal, hexadecimal, short
    "http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0X7F.1/",
    "http://0177.0.0.1/", "http://00000177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0/", "http://0x/",
    "http://127.0.0.0x1/", "http://127.0.0.1.5/", "http://127.0.0.256/", "http://2852039166/", "http://169.254.43518/",
    "http://0xa9fea9fe/", "http://0251.0376.0251.0376/", "http://127.0.0.1../",
    # brackets
    "http://[::1/", "http://::1/", "http://[127.0.0.1]/", "http://[fe80::1%25eth0]/", "http://[::1]x/", "http://[]/",
    "http://[::1%00]/",
    # backslashes, tabs, line ends, blanks and escapes where parsers differ
    "http://127.0.0.1\\@files.example/", "http://files.example\\@127.0.0.1/", "http:\\\\127.0.0.1\\",
    "http://files.example\\.evil.example/", "http://127.0.0.1\t.files.example/", "http://127.0.0\n.1/",
    "http://files.example/\r\nHost: inside", "h\tttp://127.0.0.1/", " http://127.0.0.1/", "http://127.0.0.1/ ",
    "http://127.0.0.1 .files.example/", "http://127.0.0.1%00.files.example/", "http://%31%32%37.0.0.1/",
    "http://127.0.0.1\x00.files.example/", "http://files\x7f.example/", "http://files.example/\ud800",
    # no host, no port, no address
    "", "127.0.0.1", "//127.0.0.1/", "http:/127.0.0.1/", "http:127.0.0.1", "http://", "http:///127.0.0.1/",
    "http://?@127.0.0.1/", "http://files.example:0/", "http://files.example:99999/", "http://files.example:-1/",
    "http://files.example:８０/", "http://files.example:80:80/", "http://files..example/", "http://-a.example/",
    f"http://{'a' * 64}.example/", f"http://{'a.' * 130}example/", f"https://files.example/{'a' * 2048}",
    "javascript:alert(1)", "data:text/plain,hello", "http://fi les.example/", "http://*.example/",
    # characters that become others
    "http://１２７.１/", "http://files。。example/", "http://\u202efiles.example/", "http://\u200d/",
]  # fmt: skip

FORBIDDEN_SPELLINGS = [
    "http://127.0.0.1./", "https://127.0.0.1/", "http://127.0.0.1:8000/", "HTTP://127.0.0.1", "http://127.0.0.1?a=b",
    "http://127.0.0.1#@files.example/", "http://[0000:0000:0000:0000:0000:0000:0000:0001]/", "http://[::FFFF:7F00:1]/",
    # unicode digits, dots and letters
    "http://１２７.０.０.１/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://127．0．0．1/", "http://127｡0｡0｡1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://loc\u00adalhost/", "http://𝟏𝟐𝟕.𝟎.𝟎.𝟏/",
    # names with only one label
    "http://localhost/", "https://LOCALHOST/", "http://localhost./", "http://intranet/", "http://redis:6379/",
    # somebody before the @
    "http://files.example@127.0.0.1/", "http://127.0.0.1@files.example/", "http://user:secret@files.example/",
    "http://files.example:80@127.0.0.1/", "http://@127.0.0.1/", "http://a@b@127.0.0.1/", "http://[::1]:80@files.example/",
    # other schemes and ports
    "file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "ftp://files.example/card.pdf", "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/", "jar://files.example/", "http://files.example:22/", "https://files.example:6379/",
    f"http://{PUBLIC}:25/",
]  # fmt: skip

INSIDE_NAMES = {
    "inside.example": ["10.0.0.5"],
    "loop.example": ["127.0.0.1"],
    "loop6.example": ["::1"],
    "zero.example": ["0.0.0.0"],
    "metadata.example": ["169.254.169.254"],
    "azure.example": ["168.63.129.16"],
    "cgnat.example": ["100.64.7.7"],
    "mapped.example": ["::ffff:192.168.0.1"],
    "compatible.example": ["::10.0.0.1"],
    "nat64.example": ["64:ff9b::10.0.0.1"],
    "6to4.example": ["2002:a00:1::1"],
    "mixed.example": [PUBLIC, "10.0.0.5"],
    "mixed-first.example": ["10.0.0.5", PUBLIC],
    "mixed-family.example": [PUBLIC, PUBLIC_V6, "fd00::5"],
}


@pytest.fixture(autouse=True)
def http_is_spoken_and_nothing_listed(settings: Any) -> None:
    settings.FETCH_ALLOW_HTTP = True
    settings.FETCH_ALLOWED_HOSTS = []


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> FakeDns:
    dns = FakeDns(monkeypatch)
    dns.names = {name: [addresses] for name, addresses in INSIDE_NAMES.items()}
    dns.names |= {"files.example": [[PUBLIC]]}
    return dns


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


def refusal(url: str, into: Path) -> str:
    return failure(url, into, seconds=2).code


@pytest.mark.parametrize("url", INVALID_SPELLINGS)
def test_what_has_no_clear_reading_is_refused_unasked(
    url: str, dns: FakeDns, connections: Connections, tmp_path: Path
) -> None:
    with pytest.raises(http.Failed) as checked:
        http.check(url)
    with pytest.raises(http.Failed) as sent:
        http.send(url)
    codes = [checked.value.code, sent.value.code, refusal(url, tmp_path)]
    assert (codes, dns.questions, connections.attempts) == (["URL_INVALID"] * 3, [], [])
    assert checked.value.permanent and checked.value.hint


@pytest.mark.parametrize(
    "url",
    FORBIDDEN_SPELLINGS
    + [f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in NOT_PUBLIC],
)
def test_what_points_inside_is_refused_unasked(
    url: str, dns: FakeDns, connections: Connections, tmp_path: Path
) -> None:
    with pytest.raises(http.Failed) as checked:
        http.check(url)
    with pytest.raises(http.Failed) as sent:
        http.send(url)
    codes = [checked.value.code, sent.value.code, refusal(url, tmp_path)]
    assert (codes, dns.questions, connections.attempts) == (["URL_FORBIDDEN"] * 3, [], [])
    assert checked.value.permanent and checked.value.hint


@pytest.mark.parametrize("name", INSIDE_NAMES)
def test_a_name_that_points_inside_is_asked_once_and_never_connected_to(
    name: str, dns: FakeDns, connections: Connections, tmp_path: Path
) -> None:
    http.check(f"https://{name}/")
    assert (refusal(f"https://{name}/", tmp_path), connections.attempts) == ("URL_FORBIDDEN", [])
    assert dns.questions == [name]


def test_the_message_does_not_say_where_a_name_points_to(
    dns: FakeDns, connections: Connections, tmp_path: Path
) -> None:
    with pytest.raises(http.Failed) as failed:
        http.fetch("https://inside.example/", into=tmp_path)
    assert failed.value.message == "inside.example is not on the public internet."


@pytest.mark.parametrize("publicly", [1, 2])
def test_a_name_that_changes_its_mind_is_held_to_each_answer(
    publicly: int, dns: FakeDns, connections: Connections, tmp_path: Path
) -> None:
    """The first answer is the one that is connected to: there is no second question in between."""
    dns.names["moving.example"] = [[PUBLIC]] * publicly + [["127.0.0.1"]]
    codes = [refusal("https://moving.example/", tmp_path) for _ in range(publicly + 1)]
    assert codes == ["FETCH_UNREACHABLE"] * publicly + ["URL_FORBIDDEN"]
    assert connections.attempts == [(PUBLIC, 443)] * publicly
    assert len(dns.questions) == publicly + 1


def test_every_address_of_a_name_is_tried_in_turn(dns: FakeDns, connections: Connections, tmp_path: Path) -> None:
    dns.names["both.example"] = [[PUBLIC_V6, PUBLIC]]
    assert refusal("http://both.example/", tmp_path) == "FETCH_UNREACHABLE"
    assert connections.attempts == [(PUBLIC_V6, 80), (PUBLIC, 80)]


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://127.0.0.1/", "URL_FORBIDDEN"),
        ("http://127.0.0.1:{canary}/", "URL_FORBIDDEN"),
        ("//10.0.0.1/", "URL_FORBIDDEN"),
        ("http://169.254.169.254/latest/meta-data/", "URL_FORBIDDEN"),
        ("http://inside.example/", "URL_FORBIDDEN"),
        ("http://[::1]:{canary}/", "URL_FORBIDDEN"),
        ("file:///etc/passwd", "URL_FORBIDDEN"),
        ("gopher://127.0.0.1:{canary}/_", "URL_FORBIDDEN"),
        ("ftp://127.0.0.1/", "URL_FORBIDDEN"),
        ("http://user@files.example/", "URL_FORBIDDEN"),
        ("http://2130706433/", "URL_INVALID"),
        ("http://127.0.0.1\\@files.example/", "URL_INVALID"),
        ("http://[::1/", "URL_INVALID"),
        ("data:text/plain,hello", "URL_INVALID"),
        ("", "FETCH_PROTOCOL"),
    ],
)
def test_a_redirect_is_judged_like_a_first_address(
    location: str, code: str, dns: FakeDns, connections: Connections, tmp_path: Path, settings: Any
) -> None:
    def redirect(visit: Visit) -> None:
        redirecting(location.format(canary=canary.port))(visit)

    with serving(saying(answer(b"secret"))) as canary, serving(redirect) as server:
        settings.FETCH_ALLOWED_HOSTS = [f"127.0.0.1:{server.port}"]
        connections.real = {server.place, canary.place}
        assert refusal(server.url(), tmp_path) == code
        assert (connections.attempts, canary.requests) == ([server.place], [])


def test_a_redirect_in_a_circle_ends_after_three(connections: Connections, tmp_path: Path, settings: Any) -> None:
    def around(visit: Visit) -> None:
        redirecting("/next" if visit.path == "/" else "/")(visit)

    with serving(around) as server:
        settings.FETCH_ALLOWED_HOSTS = ["127.0.0.1"]
        connections.real = {server.place}
        assert refusal(server.url(), tmp_path) == "FETCH_PROTOCOL"
        assert connections.attempts == [server.place] * 4


def test_without_leave_for_http_only_https_is_called(settings: Any, dns: FakeDns, connections: Connections) -> None:
    settings.FETCH_ALLOW_HTTP = False
    with pytest.raises(http.Failed) as failed:
        http.check("http://files.example/")
    http.check("https://files.example/")
    assert (failed.value.code, dns.questions, connections.attempts) == ("URL_FORBIDDEN", [], [])


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_nobody_on_the_internet_has_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [PUBLIC, PUBLIC_V6, "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1", "169.253.0.1",
     "168.63.129.15", "223.255.255.255", "2a00:1450:400f:80d::200e", "2400:cb00::1", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("listed", "allowed", "refused"),
    [
        ("10.1.2.3", "http://10.1.2.3:9000/", "http://10.1.2.4/"),
        ("10.1.2.3:9000", "http://10.1.2.3:9000/", "http://10.1.2.3/"),
        ("10.1.0.0/16", "http://10.1.77.3:81/", "http://10.2.0.1/"),
        ("[fd00::5]:9000", "http://[fd00:0::5]:9000/", "http://[fd00::5]:9001/"),
        ("fd00::5", "http://[fd00::5]:1/", "http://[fd00::6]/"),
        ("fd00::/64", "http://[fd00::9]:1/", "http://[fd00:1::9]/"),
        ("inside.example", "http://inside.example:9000/", "http://loop.example/"),
        ("INSIDE.example.", "http://inside.EXAMPLE:9000/", "http://loop.example/"),
        ("inside.example:9000", "http://inside.example:9000/", "http://inside.example/"),
        ("bücher.example", "http://xn--bcher-kva.example/", "http://loop.example/"),
        ("minio", "http://minio:9000/", "http://redis:9000/"),
        ("10.0.0.0/29", "http://inside.example:9000/", "http://metadata.example/"),
        ("10.0.0.0/29", "http://minio/", "http://[::ffff:10.0.0.9]/"),
        ("10.0.0.5", "http://[::ffff:10.0.0.5]/", "http://mixed.example:9000/"),
    ],
)
def test_the_operator_may_list_places_of_his_own(
    listed: str, allowed: str, refused: str, settings: Any, dns: FakeDns, connections: Connections, tmp_path: Path
) -> None:
    dns.names |= {"minio": [["10.0.0.5"]], "xn--bcher-kva.example": [["10.0.0.5"]]}
    settings.FETCH_ALLOWED_HOSTS = [listed]
    http.check(allowed)
    assert (refusal(allowed, tmp_path), len(connections.attempts)) == ("FETCH_UNREACHABLE", 1)
    assert (refusal(refused, tmp_path), len(connections.attempts)) == ("URL_FORBIDDEN", 1)


@pytest.mark.parametrize("entry", ["*", "*.example", "http://files.example", "10.0.0.0/99", "[::1", "a b", "0x7f.1"])
def test_an_entry_that_cannot_be_read_is_said_rather_than_passed_over(entry: str, settings: Any) -> None:
    settings.FETCH_ALLOWED_HOSTS = ["files.example", entry]
    with pytest.raises(ImproperlyConfigured, match="FETCH_ALLOWED_HOSTS"):
        http.check("https://10.0.0.1/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("HTTPS://Files.Example", "https://files.example/"),
        ("https://files.example:443/a", "https://files.example/a"),
        ("https://files.example:/a", "https://files.example/a"),
        ("http://files.example:443/a", "http://files.example:443/a"),
        ("https://files.example?q=1", "https://files.example/?q=1"),
        ("https://files.example/a#b@10.0.0.1", "https://files.example/a"),
        ("https://files.example/a b/ü.pdf?x=é", "https://files.example/a%20b/%C3%BC.pdf?x=%C3%A9"),
        ("https://files.example/a%2Fb%20c?s=%2b&t=a+b", "https://files.example/a%2Fb%20c?s=%2b&t=a+b"),
        ("https://files.example/@user/$(x);y=[1]", "https://files.example/@user/$(x);y=[1]"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://my_bucket.s3.example/", "https://my_bucket.s3.example/"),
        ("https://[2606:2800:21F::1]/", "https://[2606:2800:21f::1]/"),
    ],
)
def test_an_address_has_one_reading(url: str, said: str) -> None:
    http.check(url)
    assert read(url).url == said
