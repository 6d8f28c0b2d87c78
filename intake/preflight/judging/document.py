"""A PDF as a whole: damage, protection, what does not belong into a print file, and its PDF/X claim."""

from collections.abc import Iterator

from gelatoconnect.lib.problems import Severity
from intake.preflight.facts import Document, Facts
from intake.preflight.judging.finding import Finding
from intake.preflight.profile import Profile

BEFORE_X4 = ("PDF/X-1", "PDF/X-3")


def document(facts: Facts, profile: Profile) -> Iterator[Finding]:
    pdf = facts["document"]
    if pdf["repaired"]:
        yield Finding(code="PDF_DAMAGED_RECOVERED", severity=profile.repaired,
                      more={"reason": pdf["repaired"][0], "count": len(pdf["repaired"])})  # fmt: skip
    if pdf["encrypted"]:
        forbid = "restrict its use" if pdf["may_print"] else "forbid printing it"
        severity: Severity | None = None if pdf["may_print"] else "error"
        yield Finding(code="PDF_ENCRYPTED_RESTRICTED", severity=severity, words={"forbid": forbid})
    yield from _foreign_parts(pdf)
    if hidden := [layer["name"] for layer in pdf["layers"] if not layer["visible"]]:
        named = ", ".join(f"“{name}”" for name in hidden[:5])
        yield Finding(code="PDF_LAYERS_HIDDEN", words={"layers": named}, more={"layers": hidden})
    yield from _standard(facts, profile)


def _foreign_parts(pdf: Document) -> Iterator[Finding]:
    if pdf["javascript"]:
        yield Finding(code="PDF_JAVASCRIPT")
    if pdf["xfa"]:
        yield Finding(code="PDF_XFA")
    elif pdf["form_fields"]:
        yield Finding(code="PDF_FORM_FIELDS", words={"count": pdf["form_fields"]}, actual=pdf["form_fields"])
    if pdf["embedded_files"]:
        yield Finding(code="PDF_EMBEDDED_FILES", words={"count": pdf["embedded_files"]}, actual=pdf["embedded_files"])
    if pdf["multimedia"]:
        yield Finding(code="PDF_MULTIMEDIA")
    if pdf["external_streams"]:
        yield Finding(code="PDF_EXTERNAL_REF", severity="error")
    elif pdf["external_references"] or pdf["opi"]:
        yield Finding(code="PDF_EXTERNAL_REF")


def _standard(facts: Facts, profile: Profile) -> Iterator[Finding]:
    claim, wanted = facts["document"]["pdfx"], profile.pdfx
    if not claim.startswith(wanted or "PDF/X"):
        yield Finding(code="PDFX_MISSING", severity="warning" if wanted else None, words={"wanted": wanted or "PDF/X-4"},
                      actual=claim, limit=wanted or None)  # fmt: skip
    if claim.startswith("PDF/X") and (reasons := list(_contradictions(facts, claim))):
        yield Finding(code="PDFX_CLAIM_INVALID", words={"claim": claim, "reasons": "; ".join(reasons)}, actual=claim,
                      more={"reasons": reasons})  # fmt: skip


def _contradictions(facts: Facts, claim: str) -> Iterator[str]:
    """What the claimed standard forbids and the file does. That there is none does not prove the file valid."""
    pdf, pages = facts["document"], facts["pages"]
    intents = [intent for intent in pdf["intents"] if intent["kind"] == "GTS_PDFX"]
    early = claim.startswith(BEFORE_X4)
    for wrong, said in (
        (pdf["encrypted"], "it is encrypted"),
        (any(font["shown"] and not font["embedded"] for font in facts["fonts"]), "a font is not embedded"),
        (len(intents) != 1, f"it has {len(intents) or 'no'} output intents instead of one"),
        (any(one["profile_class"] not in ("", "prtr") for one in intents), "its output intent is no printer profile"),
        (pdf["javascript"], "it contains JavaScript"),
        (early and any(page["transparency"] for page in pages), "it uses transparency"),
        ("X-1" in claim and any(_uses_rgb(page["vector_colours"]) for page in pages), "it uses RGB colours"),
        (any("trim" not in page and "art" not in page for page in pages), "a page has no trim box"),
        (any("trim" in page and "art" in page for page in pages), "a page has both a trim and an art box"),
        (pdf["opi"], "it links to images kept elsewhere"),
        (pdf["postscript"], "it contains PostScript"),
    ):
        if wrong:
            yield said


def _uses_rgb(labels: object) -> bool:
    return any(label.endswith("rgb") for label in labels)  # type: ignore[attr-defined]
