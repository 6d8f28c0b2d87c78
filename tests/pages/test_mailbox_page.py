"""The local mailbox: what is kept in files is read here, and nothing else."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection
from django.test import Client


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    return tmp_path / "mail"


def send(subject: str, *, html: str = "", **more: Any) -> None:
    mail = EmailMultiAlternatives(subject, f"Text of {subject} – ü", "shop@print.example", ["a@b.example"], **more)
    if html:
        mail.attach_alternative(html, "text/html")
    mail.send()
    time.sleep(0.01)  # so that files differ in age


def test_mails_are_listed_newest_first_and_shown(folder: Path, manager: Client) -> None:
    for subject in ("First", "Second", "Third ü"):
        send(subject, html=f"<p style='color:red'>{subject}</p><script>x</script>")
    mails = manager.get("/mailbox").context["mails"]
    assert [mail.subject for mail in mails] == ["Third ü", "Second", "First"]
    path = f"/mailbox/{mails[0].file}/{mails[0].number}"
    page = manager.get(path)
    shown = page.content.decode()
    assert ("Text of Third ü – ü" in shown, "a@b.example" in shown, "<script>x" in shown) == (True, True, False)
    assert f'src="{path}/html"' in shown
    part = manager.get(f"{path}/html")
    assert part.content.decode().strip() == "<p style='color:red'>Third ü</p><script>x</script>"
    assert part["Content-Security-Policy"].startswith("sandbox; default-src 'none'; style-src 'unsafe-inline'")
    assert (part["X-Frame-Options"], page["X-Frame-Options"]) == ("SAMEORIGIN", "DENY")


def test_several_mails_in_one_file_and_dashes_in_a_text_are_told_apart(folder: Path, manager: Client) -> None:
    mails = [EmailMultiAlternatives(f"No {n}", "a\n" + "-" * 20 + "\nb", to=["a@b.example"]) for n in (1, 2)]
    get_connection().send_messages(mails)
    found = manager.get("/mailbox").context["mails"]
    assert [(mail.subject, mail.number) for mail in found] == [("No 2", 2), ("No 1", 1)]
    assert ("-" * 20 + "\nb") in found[0].text


def test_attachments_are_named(folder: Path, manager: Client) -> None:
    send("With a file", attachments=[("data.json", "{}", "application/json")])
    mail = manager.get("/mailbox").context["mails"][0]
    assert mail.attachments == ["data.json"]
    assert b"data.json" in manager.get(f"/mailbox/{mail.file}/1").content


@pytest.mark.parametrize("name", ["secret_key", "..%2Fsecret_key", "20260101-000000-1.log", "%2e%2e",
                                  "20260101-000000-2.log",
                                  "..", "x%00.log", "other.log"])  # fmt: skip
def test_names_that_are_no_mails_of_the_folder_are_not_found(
    name: str, folder: Path, manager: Client, tmp_path: Path
) -> None:
    folder.mkdir()
    (tmp_path / "secret_key").write_text("s3cret")
    (folder / "other.log").write_text("Subject: x\n\ns3cret")
    (folder / "20260101-000000-2.log").symlink_to(tmp_path / "secret_key")
    send("A mail")
    answers = [manager.get(f"/mailbox/{name}/1{end}") for end in ("", "/html")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert [b"s3cret" in answer.content for answer in answers] == [False, False]
    assert [mail.subject for mail in manager.get("/mailbox").context["mails"]] == ["A mail"]


def test_a_number_that_is_not_there_is_not_found(folder: Path, manager: Client) -> None:
    send("A mail")
    mail = manager.get("/mailbox").context["mails"][0]
    assert [manager.get(f"/mailbox/{mail.file}/{number}").status_code for number in ("0", "2", "9" * 20)] == [404] * 3


@pytest.mark.parametrize("content", [
    b"", b"\x00\xff\xfe", b"Subject: =?utf-8?b?!!!?=\nTo: <<<\n\nx",
    b"Content-Type: multipart/mixed\n\nx", b"Content-Type: text/html; charset=nonsense\n\n<p>\xff", b"a" * 3000,
])  # fmt: skip
def test_a_file_that_is_no_mail_hinders_nobody(content: bytes, folder: Path, manager: Client) -> None:
    send("A mail")
    (folder / "20260101-000000-1.log").write_bytes(content)
    page = manager.get("/mailbox")
    assert (page.status_code, "A mail" in [mail.subject for mail in page.context["mails"]]) == (200, True)
    assert manager.get("/mailbox/20260101-000000-1.log/1").status_code in (200, 404)


def test_an_empty_mailbox_says_so(folder: Path, manager: Client) -> None:
    assert b"No mail yet" in manager.get("/mailbox").content
    assert b"Local mailbox" in manager.get("/triggers").content


def test_where_mail_is_really_sent_there_is_none(folder: Path, manager: Client, settings: Any) -> None:
    send("A mail")
    file = next(folder.iterdir()).name
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert [
        manager.get(path).status_code for path in ("/mailbox", f"/mailbox/{file}/1", f"/mailbox/{file}/1/html")
    ] == [404] * 3
    assert b"Local mailbox" not in manager.get("/triggers").content


def test_only_who_manages_triggers_reads_it(folder: Path, sign_in: Callable) -> None:
    send("A mail")
    file = next(folder.iterdir()).name
    for number, role in enumerate(("Accountant", "Packaging user", "Print operator")):
        client = sign_in(role, username=f"p{number}")
        assert [
            client.get(path).status_code for path in ("/mailbox", f"/mailbox/{file}/1", f"/mailbox/{file}/1/html")
        ] == [403] * 3
    assert Client().get("/mailbox").status_code == 302
