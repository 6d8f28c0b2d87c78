"""XML from strangers: no DTD (so no entities), not too large, not too deep; read with the standard library's expat."""

from typing import Any, NoReturn
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser  # DTDs and depth are refused below

from gelatoconnect.lib.problems import Problem, Rejected
from gelatoconnect.lib.strict import MAX_DEPTH, too_large

MAX_ELEMENTS = 100_000


class _Builder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = self._count = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:  # type: ignore[override]
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH:
            _refuse("XML_TOO_DEEP", f"The XML is nested more than {MAX_DEPTH} levels deep.", "Flatten the document.")
        if self._count > MAX_ELEMENTS:
            _refuse("XML_TOO_LARGE", f"The XML has more than {MAX_ELEMENTS:,} elements.", "Send fewer orders at once.")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        _refuse("XML_DTD", "The XML has a document type declaration.", "Leave out <!DOCTYPE …> and entities.")


def loads(raw: bytes, *, max_bytes: int) -> Element:
    """The root element, in the encoding that the XML declares. Raises Rejected (400, or 413 when it is too large)."""
    if len(raw) > max_bytes:
        raise too_large(max_bytes)
    parser = XMLParser(target=_Builder())  # noqa: S314
    try:
        for start in range(0, len(raw), 65_536):  # in pieces, so that a refusal comes before all of it is built
            parser.feed(raw[start : start + 65_536])
        return parser.close()
    except ParseError as error:
        _refuse("XML_MALFORMED", f"The body is not XML: {error}.", "Mend the XML there.")
    except (ValueError, LookupError):
        _refuse("XML_ENCODING", "The XML declares an encoding that is not known.", "Send it as UTF-8.")


def data_of(element: Element) -> Any:
    """An element as JSON would say it: text, or an object of its attributes and children; a repeated child is a list.

    Namespaces are left out. Text beside children or attributes stands under "text".
    """
    text = (element.text or "").strip()
    if not len(element) and not element.attrib:
        return text
    found: dict[str, Any] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        name, value = _local(child.tag), data_of(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], _Many):
            found[name].append(value)
        else:
            found[name] = _Many([found[name], value])
    if text:
        found["text"] = text
    return found


class _Many(list):
    """Children of one name, in order."""


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise Rejected([Problem(code, message, hint=hint)], status=400)
