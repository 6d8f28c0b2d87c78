"""What preflight says of every file in a folder, as JSON: `python -m bench.preflight_answers FOLDER > answers.json`.

For comparison with other tools. Judged as an A6 card with 3 mm bleed, of one or two pages; images as a photo print of
100 by 150 mm with 3 mm bleed; either printed from CMYK or RGB.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # also when it is run by its path

from intake.preflight import SHEETFED, Facts, inspect, judge

CARD = replace(SHEETFED, trim_width=105, trim_height=148, bleed=3, pages_max=2, colour="any")
PHOTO = replace(CARD, trim_width=100, trim_height=150)
STATUS = {"read": "ok", "locked": "needs_password"}
SAID_THOUGH_HARMLESS = ("FONT_NOT_EMBEDDED_INVISIBLE",)


def answer(facts: Facts) -> dict[str, Any]:
    problems = judge(facts, CARD if facts["format"] == "pdf" else PHOTO)
    codes = {one.code for one in problems if one.severity != "info" or one.code in SAID_THOUGH_HARMLESS}
    said: dict[str, Any] = {
        "status": STATUS.get(facts["state"], "unreadable"),
        "format": facts["format"],
        "codes": sorted(codes),
    }
    if "raster" in facts:
        raster = facts["raster"]
        sides = (raster["width"], raster["height"])
        width, height = sides[::-1] if raster["turned"] else sides  # as stored, like other tools say it
        return said | {"width": width, "height": height, "frames": raster["stored"]}
    if facts["state"] != "read":
        return said
    shown = [image for image in facts["images"] if image["kind"] != "soft_mask"]
    left, bottom, right, top = facts["pages"][0]["crop"]
    return said | {
        "pages": facts["page_count"],
        "encrypted": facts["document"]["encrypted"],
        "page_size_pt": [right - left, top - bottom],
        "min_ppi": min((min(image["ppi"]) for image in shown), default=None),
        "font_not_embedded_shown": any(font["shown"] and not font["embedded"] for font in facts["fonts"]),
    }


if __name__ == "__main__":
    files = sorted(path for path in Path(sys.argv[1]).iterdir() if path.is_file())
    json.dump({path.name: answer(inspect(path)) for path in files}, sys.stdout, indent=1)
