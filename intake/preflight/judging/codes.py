"""Every code that preflight says: its usual severity, what is wrong in the customer's words, and how to mend it.

Codes are stable for ever and never used for anything else; texts may change. What stands in braces is filled in by the
check that finds it. docs/preflight.md lists them; a test compares the two.
"""

from typing import NamedTuple

from gelatoconnect.lib.problems import Severity


class Code(NamedTuple):
    severity: Severity
    message: str
    hint: str


EXPORT_AGAIN = "Open it in the program that made it, export it again and upload it again."
EMBED = "Embed all fonts when exporting (PDF/X presets do), or convert the text to outlines."
SIMPLIFY = "It is unusually complex. Flatten it and export it again, or have a person look at it."
SHARPER = "Use the image in a higher resolution, or print it smaller. Enlarging its pixels does not help."
BLEED = "Let backgrounds and images run {wanted} mm beyond the trim and export with that bleed."
TO_CMYK = "Convert it to CMYK with the printer's profile and check the colours."

CODES: dict[str, Code] = {
    # we could not tell: a person decides
    "SYS_LIMIT": Code("error", "The file could not be checked to the end: {what}.", SIMPLIFY),
    "SYS_TIMEOUT": Code("error", "The file could not be checked in time: {what}.", SIMPLIFY),
    "SYS_MEMORY": Code("error", "The file could not be checked: {what}.", SIMPLIFY),
    "SYS_CRASH": Code("error", "The file could not be checked: {what}.", "Export it again, as PDF/X-4 if possible."),
    # the file
    "FILE_EMPTY": Code("error", "The file is empty.", "Upload it again and check its size."),
    "FILE_TOO_LARGE": Code("error", "The file has {megabytes} MB; at most {most} MB are taken.",
                           "Reduce its images to what print needs (300 pixels per inch) and export it again."),
    "FILE_TYPE_UNSUPPORTED": Code("error", "The file is {kind}; accepted: {accepted}.",
                                  "Check that the address leads to the file itself, and export it in an accepted format."),
    "FILE_TYPE_MISMATCH": Code("warning", "The file is named .{ending} but is {kind}.", "Name the file after its format."),
    "FILE_CORRUPT": Code("error", "The file is damaged: it cannot be opened, or not as a whole.", EXPORT_AGAIN),
    # the PDF as a whole
    "PDF_DAMAGED_RECOVERED": Code("error", "The PDF is damaged and could only be read after a repair; parts may be missing.",
                                  EXPORT_AGAIN),
    "PDF_ENCRYPTED": Code("error", "The PDF is locked with a password.", "Save it without password protection."),
    "PDF_ENCRYPTED_RESTRICTED": Code("warning", "Its security settings {forbid}.", "Save it without security settings."),
    "PDF_JAVASCRIPT": Code("warning", "The PDF contains scripts (JavaScript), which print ignores.",
                           "Export it as PDF/X-4, which leaves scripts out."),
    "PDF_FORM_FIELDS": Code("warning", "The PDF has form fields to fill in ({count}).",
                            "Flatten the form, so that what is filled in becomes part of the page."),
    "PDF_XFA": Code("error", "The PDF is a dynamic form (XFA): a viewer makes its pages, so they cannot be printed.",
                    "Print it to a new PDF from the viewer that shows it right."),
    "PDF_EMBEDDED_FILES": Code("warning", "The PDF carries attached files ({count}), which are not printed.",
                               "Remove the attachments."),
    "PDF_MULTIMEDIA": Code("warning", "The PDF contains film, sound or 3D, which cannot be printed.",
                           "Put still images in their place."),
    "PDF_EXTERNAL_REF": Code("warning", "Parts of the PDF are kept in other files, which we do not have.",
                             "Embed everything in the file when exporting."),
    "PDF_ANNOT_IN_TRIM": Code("warning", "A comment, stamp or form field lies on the page and may be printed.",
                              "Remove it, or flatten it into the page."),
    "PDF_LAYERS_HIDDEN": Code("warning", "Some layers are switched off and will not be printed: {layers}.",
                              "Remove layers that are not to be printed, and show those that are."),
    "PDFX_MISSING": Code("info", "The PDF does not say that it follows {wanted}.", "Export it as {wanted}."),
    "PDFX_CLAIM_INVALID": Code("warning", "The PDF says that it follows {claim}, but {reasons}.",
                               "Export it again with the program's PDF/X preset."),
    # pages
    "PAGE_COUNT_MISMATCH": Code("error", "Pages in the file: {count}; needed: {wanted}.",
                                "Send a file with the right number of pages, or order the product that fits."),
    "PAGE_SIZE_MISMATCH": Code("error", "The trimmed page is {size}; the product is {wanted}.",
                               "Set the document to the product's size (without bleed) and export it again."),
    "PAGE_ORIENTATION_MISMATCH": Code("warning", "It lies on its side: {size} instead of {wanted}. It will be turned.",
                                      "Turn it yourself if that is not what you want."),
    "PAGE_TRIMBOX_MISSING": Code("warning", "The page does not say where it is trimmed (no trim box).",
                                 "Export with bleed and crop settings, so that the trim box is set."),
    "PAGE_BLEED_MISSING": Code("error", "There is no bleed; {wanted} mm are needed on every side.", BLEED),
    "PAGE_BLEED_SHORT": Code("error", "The bleed is short ({sides}); {wanted} mm are needed.", BLEED),
    "PAGE_BLEED_EMPTY": Code("warning", "Colour reaches the trim but not beyond it ({sides}): white edges may show.", BLEED),
    "PAGE_SIZE_INCONSISTENT": Code("warning", "The pages differ in size.", "Give all pages the same trim size."),
    "PAGE_ROTATED": Code("warning", "The page is only turned for viewing, by {degrees}°.", "Export it upright."),
    "PAGE_USERUNIT": Code("warning", "The page is drawn in units of {unit} points, which not every press honours.",
                          "Export it at its real size, without a user unit."),
    "PAGE_BOX_INVALID": Code("error", "The page's measures make no sense ({boxes} box).",
                             "Set the page size and export the file again."),
    "PAGE_BLANK": Code("warning", "The page is blank.", "Remove it, unless it is meant to be blank."),
    # fonts, text and lines
    "FONT_NOT_EMBEDDED": Code("error", "The font {font} is not in the file: another would be printed in its place.", EMBED),
    "FONT_NOT_EMBEDDED_INVISIBLE": Code("info", "The font {font} is not in the file; only invisible text uses it.", EMBED),
    "FONT_NOT_EMBEDDED_UNUSED": Code("info", "The font {font} is named, but neither in the file nor used.", EMBED),
    "FONT_CORRUPT": Code("warning", "The embedded font {font} is damaged: its text may be missing or wrong.",
                         "Convert the text to outlines, or install the font anew and export again."),
    "FONT_TYPE3": Code("info", "The font {font} is made of drawings (Type 3).", "Use an outline font if it looks coarse."),
    "FONT_COURIER": Code("info", "Courier is used, which often stands in for a missing font.", "Check that it is meant."),
    "FONT_TEXT_TOO_SMALL": Code("warning", "{kind} is only {size} pt; below {limit} pt it may not be readable.",
                                "Make it larger, or print it in one dark ink."),
    "LINE_TOO_THIN": Code("error", "A line is only {size} pt thin; below {limit} pt it may not be printed.",
                          "Make lines at least {limit} pt."),
    # images
    "IMG_PPI_LOW": Code("error", "An image is printed at {ppi} pixels per inch ({pixels} pixels); "
                        "more than {limit} are needed.", SHARPER),
    "IMG_PPI_MARGINAL": Code("warning", "An image is printed at {ppi} pixels per inch ({pixels} pixels); "
                             "more than {limit} are better.", SHARPER),
    "IMG_1BIT_PPI_LOW": Code("error", "A black-and-white image is printed at {ppi} pixels per inch ({pixels} pixels); "
                             "more than {limit} are needed, or its edges show steps.", SHARPER),
    "IMG_1BIT_PPI_MARGINAL": Code("warning", "A black-and-white image is printed at {ppi} pixels per inch "
                                  "({pixels} pixels); more than {limit} are better.", SHARPER),
    "IMG_PPI_EXCESS": Code("info", "An image has {ppi} pixels per inch, more than print can show.",
                           "Half of {limit} is enough; the file becomes smaller."),
    "IMG_ASPECT_MISMATCH": Code("error", "The image ({pixels} pixels) is {off} % off the proportions "
                                "of {wanted} with bleed.", "Crop the image to these proportions, bleed included."),
    "IMG_16BIT": Code("info", "An image has 16 bits per channel, of which print uses 8.", "Convert it to 8 bits."),
    "IMG_ALPHA": Code("info", "The image is partly transparent; the paper will show through.", "Put it on a background."),
    "IMG_INDEXED": Code("info", "An image uses a palette of few colours.", "Convert it to full colour if it shows steps."),
    "IMG_LAB": Code("info", "An image is in Lab colours, which are converted for print.", TO_CMYK),
    "IMG_NO_PROFILE": Code("info", "The image does not name its colour space; the usual one is assumed.",
                           "Embed an ICC profile when exporting."),
    # colour
    "COLOR_RGB_USED": Code("warning", "RGB colours are used in {what}; they may shift in print.", TO_CMYK),
    "COLOR_SPOT_UNEXPECTED": Code("warning", "Spot colours are used that will be converted: {spots}.",
                                  "Convert spot colours to CMYK and check the result."),
    "COLOR_REGISTRATION_USED": Code("warning", "The registration colour (all inks at once) is used.", "Use black instead."),
    "COLOR_TAC_HIGH": Code("warning", "About {percent} % of ink lie on one place; more than {limit} % does not dry.",
                           "Convert with the profile of the paper, which limits the ink."),
    "COLOR_RICH_BLACK_TEXT": Code("warning", "Black text is printed from several inks ({percent} %) and may look blurred.",
                                  "Set text in pure black (K 100)."),
    "COLOR_WHITE_OVERPRINT": Code("error", "White {what} will vanish: set to overprint.", "Set white objects to knock out."),
    "COLOR_TRANSPARENCY": Code("info", "Transparent objects are used.", "Flatten them if the press needs it."),
    "COLOR_OVERPRINT": Code("info", "Objects are set to overprint.", "Check the result with overprint preview on."),
}  # fmt: skip
