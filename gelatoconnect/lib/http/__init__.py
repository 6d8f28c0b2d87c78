"""The only door to the network: print files come in through `fetch`, everything else goes out through `send`.

Addresses are written by customers, so none is trusted: it is read once, resolved once, and connected to exactly
where it was found to be public (or named on the operator's list, FETCH_ALLOWED_HOSTS). Whatever the other side does,
a call ends within its seconds and its bytes, with an answer or with `Failed`.
"""

from gelatoconnect.lib.http.addresses import check
from gelatoconnect.lib.http.calls import Answer, Fetched, fetch, send
from gelatoconnect.lib.http.failures import Failed

__all__ = ["Answer", "Failed", "Fetched", "check", "fetch", "send"]
