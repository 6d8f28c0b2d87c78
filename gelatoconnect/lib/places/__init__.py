"""Folders of others, wherever they are: on this machine, or on a server that speaks FTP, FTPS or SFTP.

The only door to such servers. Hosts are judged as those of addresses are: resolved once, public or named on the
operator's list, and connected to exactly where they were found to be. On this machine nothing outside FOLDERS_ROOT is
touched, whatever names and links say. Whatever the other side does, a visit ends within its seconds, with `Failed`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gelatoconnect.lib.places.base import Account, Entry, Failed, Place, is_one_step
from gelatoconnect.lib.places.ftp import Ftp
from gelatoconnect.lib.places.local import Local
from gelatoconnect.lib.places.sftp import Sftp

__all__ = ["Account", "Entry", "Failed", "Place", "is_one_step", "visit"]

KINDS: dict[str, Callable[..., Place]] = {"local": Local, "ftp": Ftp, "ftps": Ftp, "sftp": Sftp}


@contextmanager
def visit(account: Account, *, seconds: float) -> Iterator[Place]:
    """The account's folder, for at most so many seconds in all. Raises Failed."""
    place = KINDS[account.kind](account, seconds=seconds)
    try:
        yield place
    finally:
        place.close()
