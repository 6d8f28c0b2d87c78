"""Orders as files in a folder: on this machine, or on a server that speaks FTP, FTPS or SFTP.

Whole files are read, claimed by a rename that one poller wins, taken, and moved away with what became of them.
"""

from intake.connectors.folder.kind import Folder

__all__ = ["Folder"]
