"""Archives of strangers: the good one is read; each kind of bad one is refused before it does harm."""

import hashlib
import io
import random
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from gelatoconnect.lib.archives import Limits, is_whole, opened
from gelatoconnect.lib.problems import Rejected

LIMITS = Limits(members=20, one=20_000_000, total=30_000_000)


def zipped(*members: tuple[str, bytes] | tuple[zipfile.ZipInfo, bytes], deflated: bool = True) -> bytes:
    said = io.BytesIO()
    with zipfile.ZipFile(said, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as file:
        for name, content in members:
            file.writestr(name, content)
    return said.getvalue()


def info(name: str, *, mode: int = 0) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("x")
    made.filename = made.orig_filename = name
    made.external_attr = mode << 16
    return made


def refusal(raw: bytes, tmp_path: Path) -> str:
    """The code, after trying to unpack everything; nothing may be left behind."""
    path, into = tmp_path / "a.zip", tmp_path / "into"
    path.write_bytes(raw)
    into.mkdir(exist_ok=True)
    with pytest.raises(Rejected) as error, opened(path, limits=LIMITS) as archive:
        for member in archive.members:
            archive.unpack(member.name, into=into).path.unlink()
    assert list(into.iterdir()) == []
    return error.value.problems[0].code


def test_a_good_archive_is_read_member_by_member(tmp_path: Path) -> None:
    path, pdf = tmp_path / "a.zip", b"%PDF-1.7 " + random.Random(1).randbytes(1_300_000)
    path.write_bytes(zipped(("order.json", b"{}"), ("files/grüße.pdf", pdf), ("files/", b"")))
    with opened(path, limits=LIMITS) as archive:
        assert [(each.name, each.size) for each in archive.members] == [
            ("order.json", 2),
            ("files/grüße.pdf", len(pdf)),
        ]
        found = archive.unpack("files/grüße.pdf", into=tmp_path)
    assert found.path.read_bytes() == pdf
    assert found.path.parent == tmp_path
    assert (found.size, found.sha256) == (len(pdf), hashlib.sha256(pdf).hexdigest())


BAD_NAMES = ["../up.pdf", "a/../../up.pdf", "/etc/passwd", "C:\\up.pdf", "c:up.pdf", "..\\up.pdf", "a//b.pdf", "./a.pdf",
             "a/./b.pdf", "a\nb.pdf", "a\x00b.pdf", "\\\\server\\share.pdf", "x" * 300]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    assert refusal(zipped((info(name), b"x")), tmp_path) in ("ARCHIVE_NAME", "ARCHIVE_DAMAGED")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "into"]


def test_links_devices_archives_inside_and_twins_are_refused(tmp_path: Path) -> None:
    assert refusal(zipped((info("l.pdf", mode=stat.S_IFLNK | 0o777), b"/etc/passwd")), tmp_path) == "ARCHIVE_LINK"
    assert refusal(zipped((info("d.pdf", mode=stat.S_IFCHR | 0o666), b"")), tmp_path) == "ARCHIVE_LINK"
    assert refusal(zipped(("inner.zip", b"x")), tmp_path) == "ARCHIVE_NESTED"
    assert refusal(zipped(("inner.pdf", zipped(("a", b"b")))), tmp_path) == "ARCHIVE_NESTED"
    with pytest.warns(UserWarning, match="Duplicate"):
        twins = zipped(("a.pdf", b"x"), ("a.pdf", b"y"))
    assert refusal(twins, tmp_path) == "ARCHIVE_NAME_TWICE"
    assert refusal(zipped(("a.pdf", b"x"), ("A.PDF", b"y")), tmp_path) == "ARCHIVE_NAME_TWICE"


def test_bombs_are_refused_by_what_they_say_and_by_what_they_do(tmp_path: Path) -> None:
    bomb = zipped(("a.pdf", b"\0" * 15_000_000))
    assert len(bomb) < 20_000
    assert refusal(bomb, tmp_path) == "ARCHIVE_BOMB"
    place = bomb.index(b"PK\x01\x02") + 24  # the size in the list of members, which is believed by many
    lying = bomb[:place] + struct.pack("<I", 500) + bomb[place + 4 :]
    assert refusal(lying, tmp_path) in ("ARCHIVE_BOMB", "ARCHIVE_DAMAGED")
    assert refusal(zipped(*((f"{n}.pdf", b"x") for n in range(21))), tmp_path) == "ARCHIVE_TOO_MANY"
    assert refusal(zipped(("a.bin", b"x" * 20_000_001), deflated=False), tmp_path) == "ARCHIVE_BOMB"
    halves = zipped(("a.bin", b"x" * 16_000_000), ("b.bin", b"x" * 16_000_000), deflated=False)
    assert refusal(halves, tmp_path) == "ARCHIVE_TOO_LARGE"


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    raw = zipped(("a.pdf", bytes(range(256)) * 40), ("b.pdf", bytes(range(256)) * 40), deflated=False)
    second = raw.index(b"PK\x01\x02", raw.index(b"PK\x01\x02") + 4)
    assert refusal(raw[: second + 42] + struct.pack("<I", 0) + raw[second + 46 :], tmp_path) == "ARCHIVE_OVERLAPS"


def test_an_encrypted_or_otherwise_packed_member_is_refused(tmp_path: Path) -> None:
    raw = zipped(("a.pdf", b"x"))
    place = raw.index(b"PK\x01\x02")
    assert refusal(raw[: place + 8] + b"\x01" + raw[place + 9 :], tmp_path) == "ARCHIVE_ENCRYPTED"
    assert refusal(raw[: place + 10] + b"\x0e" + raw[place + 11 :], tmp_path) == "ARCHIVE_METHOD"


def test_an_archive_that_ends_early_is_not_whole(tmp_path: Path) -> None:
    raw, path = zipped(("a.pdf", bytes(range(256)) * 100)), tmp_path / "a.zip"
    path.write_bytes(raw)
    assert is_whole(path)
    for length in (0, 1, 100, len(raw) // 2, len(raw) - 1):
        path.write_bytes(raw[:length])
        assert not is_whole(path)
        assert refusal(raw[:length], tmp_path) == "ARCHIVE_DAMAGED"


def test_no_change_of_a_byte_breaks_the_reader(tmp_path: Path) -> None:
    raw, path, into = zipped(("a.json", b'{"a": 1}'), ("b.pdf", b"%PDF")), tmp_path / "a.zip", tmp_path / "into"
    into.mkdir()
    for place in range(len(raw)):
        for change in (0xFF, 0x01):
            path.write_bytes(raw[:place] + bytes([raw[place] ^ change]) + raw[place + 1 :])
            try:
                with opened(path, limits=LIMITS) as archive:
                    for member in archive.members:
                        archive.unpack(member.name, into=into).path.unlink()
            except Rejected:
                pass
    assert list(into.iterdir()) == []
