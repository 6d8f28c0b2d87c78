"""Facts of a PDF as a whole: encryption, PDF/X claim, layers, and what has no place in a print file."""

import re
from typing import Any

import pikepdf

from intake.preflight.facts import Document, Intent, Layer
from intake.preflight.resources import Key
from intake.preflight.tokens import spelled

_XMP_PDFX = re.compile(rb"GTS_PDFXVersion(?:=[\"']|>)\s*([^\"'<]{1,40})")
MULTIMEDIA = {"/Movie", "/Sound", "/Screen", "/RichMedia", "/3D"}


def describe_document(pdf: pikepdf.Pdf) -> Document:
    root = pdf.Root
    form = _dictionary(root.get("/AcroForm"))
    fields = form.get("/Fields")
    found: Document = {
        "version": str(pdf.pdf_version), "encrypted": pdf.is_encrypted,
        "may_print": not pdf.is_encrypted or pdf.allow.print_lowres or pdf.allow.print_highres,
        "repaired": [], "notes": [], "pdfx": _pdfx_claim(pdf), "intents": _intents(root),
        "javascript": _runs_script(root), "form_fields": len(fields) if isinstance(fields, pikepdf.Array) else 0,
        "xfa": "/XFA" in form, "embedded_files": len(pdf.attachments), "multimedia": False,
        "external_streams": False, "external_references": False, "postscript": False, "opi": False,
        "layers": _layers(root), "producer": _text(_dictionary(pdf.trailer.get("/Info")).get("/Producer")),
    }  # fmt: skip
    _look_at_objects(pdf, found)
    return found


def _look_at_objects(pdf: pikepdf.Pdf, found: Document) -> None:
    """What may hang anywhere in a file: scripts, films, streams and pages kept elsewhere, PostScript, OPI links."""
    for one in pdf.objects:
        if not isinstance(one, pikepdf.Dictionary | pikepdf.Stream):
            continue
        if "/S" in one and "/JS" in one:
            found["javascript"] = True
        subtype = one.get("/Subtype")
        if subtype is not None and spelled(subtype) in MULTIMEDIA:
            found["multimedia"] = True
        if isinstance(one, pikepdf.Stream):
            found["external_streams"] |= "/F" in one
            found["external_references"] |= "/Ref" in one
            found["opi"] |= "/OPI" in one
            found["postscript"] |= subtype == "/PS" or one.get("/Subtype2") == "/PS"


def _dictionary(found: Any) -> Any:
    return found if isinstance(found, pikepdf.Dictionary) else {}


def _text(found: Any) -> str:
    return str(found)[:120] if isinstance(found, pikepdf.String) else ""


def _pdfx_claim(pdf: pikepdf.Pdf) -> str:
    """The PDF/X version that the file says it follows: in XMP since X-4, in /Info before ("PDF/X-1:2001" …)."""
    metadata = pdf.Root.get("/Metadata")
    if isinstance(metadata, pikepdf.Stream):
        try:
            if claimed := _XMP_PDFX.search(metadata.read_bytes()):
                return claimed[1].decode("utf-8", "replace").strip()
        except pikepdf.PikepdfError:
            pass
    info = _dictionary(pdf.trailer.get("/Info"))
    return _text(info.get("/GTS_PDFXConformance")) or _text(info.get("/GTS_PDFXVersion"))


def _intents(root: Any) -> list[Intent]:
    listed = root.get("/OutputIntents")
    found = listed if isinstance(listed, pikepdf.Array) else ()
    return [_intent(one) for one in found if isinstance(one, pikepdf.Dictionary)]


def _intent(one: Any) -> Intent:
    profile, header = one.get("/DestOutputProfile"), b""
    if isinstance(profile, pikepdf.Stream):
        try:
            header = profile.read_bytes()[:24]
        except pikepdf.PikepdfError:
            pass
    return {
        "kind": spelled(one.get("/S", "/"))[1:],
        "condition": _text(one.get("/OutputConditionIdentifier")),
        "profile_class": header[12:16].decode("latin-1"),
        "profile_space": header[16:20].decode("latin-1"),
    }


def _runs_script(root: Any) -> bool:
    names = _dictionary(root.get("/Names"))
    return "/JavaScript" in names or _dictionary(root.get("/OpenAction")).get("/S") == "/JavaScript"


def _layer_groups(root: Any) -> list[tuple[Any, bool]]:
    """The optional content groups with their state in the default configuration (ISO 32000-1, 8.11.4.3)."""
    properties = _dictionary(root.get("/OCProperties"))
    default = _dictionary(properties.get("/D"))
    on, off = ({group.objgen for group in _groups(default.get(key))} for key in ("/ON", "/OFF"))
    base = str(default.get("/BaseState", "/ON")) != "/OFF"
    return [
        (group, group.objgen in on or (base and group.objgen not in off)) for group in _groups(properties.get("/OCGs"))
    ]


def _groups(listed: Any) -> list[Any]:
    return [one for one in listed if isinstance(one, pikepdf.Dictionary)] if isinstance(listed, pikepdf.Array) else []


def _layers(root: Any) -> list[Layer]:
    return [{"name": _text(group.get("/Name")), "visible": visible} for group, visible in _layer_groups(root)[:100]]


def hidden_layers(pdf: pikepdf.Pdf) -> set[Key]:
    return {group.objgen for group, visible in _layer_groups(pdf.Root) if not visible}
