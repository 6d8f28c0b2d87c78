"""The one way in which a call over the network fails."""

_PERMANENT = {"URL_INVALID", "URL_FORBIDDEN", "FETCH_TOO_LARGE", "FETCH_NOT_FOUND", "FETCH_FORBIDDEN"}
_HINTS = {
    "URL_INVALID": "Send a full address, such as https://files.example.com/card.pdf.",
    "URL_FORBIDDEN": "Use an https address that anybody on the internet can reach, without a port of its own.",
    "URL_UNRESOLVED": "Check the spelling of the host's name, or try again later.",
    "FETCH_UNREACHABLE": "Check that the server is running and its certificate is valid.",
    "FETCH_TIMEOUT": "Use a faster server, or try again later.",
    "FETCH_TOO_LARGE": "Send a smaller file.",
    "FETCH_NOT_FOUND": "Check the address: nothing is there, or no longer.",
    "FETCH_FORBIDDEN": "Make the address readable without signing in, or renew its signature.",
    "FETCH_STATUS": "Make the address answer with status 200.",
    "FETCH_INCOMPLETE": "Try again; when it happens every time, check the server.",
    "FETCH_PROTOCOL": "Check the server: it does not speak HTTP as it should.",
}


class Failed(Exception):
    """A call that did not succeed.

    code         UPPER_SNAKE, stable for ever: one of the codes that have a hint above.
    message      what happened, a sentence for the customer; it never says where a name resolves to.
    hint         how to mend it.
    permanent    trying again is useless.
    retry_after  seconds after which the server wants to be asked again, when it said so.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        permanent: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.hint = hint or _HINTS[code]
        self.permanent = code in _PERMANENT if permanent is None else permanent
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
