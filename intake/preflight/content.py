"""The walk through content streams: what is painted where, with which state (ISO 32000-1, 8 and 9)."""

from collections.abc import Callable
from math import hypot
from typing import Any

import pikepdf

from intake.preflight.colours import Colour, Space, space_of
from intake.preflight.facts import Box, Image
from intake.preflight.geometry import UNIT, Matrix, bounds, corners, scale_of, sides_of, times
from intake.preflight.ink import HeavyFill, HeavyImage
from intake.preflight.limits import DEPTH, Broken, Budget
from intake.preflight.paths import outline_of, thinnest_box
from intake.preflight.resources import Picture, Resources, Shelf, inline_picture, matrix_of
from intake.preflight.sheet import HEAVY, Sheet
from intake.preflight.state import Graphics, numbers_of
from intake.preflight.tokens import SHOWN

INVISIBLE = (3, 7)  # text rendering modes
PATTERN = Space("pattern", 0)
FINEST = 1e6
"""ppi beyond which nothing is said: an image squeezed to nothing."""


class Walker(Graphics):
    """Walks one page, its forms, patterns, masks and annotations; fills a Sheet and a list of placed images."""

    def __init__(self, shelf: Shelf, budget: Budget, *, page: int, ctm: Matrix, images: list[Image]) -> None:
        super().__init__(ctm, Resources({}, shelf), page=page)
        self.shelf, self.budget, self.images, self.sheet = shelf, budget, images, Sheet()
        self.base = ctm  # of the content stream being walked; patterns hang on it
        self.marked: list[bool] = []  # for each open marked content: is it a hidden layer
        self.hidden = self.masking = 0  # how many hidden layers and soft masks we are in
        self.running: list[tuple[int, int]] = []  # forms that we are in
        self.patterns: set[tuple[Any, Matrix]] = set()
        self.done = 0  # painting operators so far, visible or not

    def run(self, tokens: list[bytes], resources: Resources) -> None:
        """Walk a content stream. Raises LimitHit, and Broken where it names things that make no sense."""
        self.budget.spend("content tokens", len(tokens))
        outer, self.resources = self.resources, resources
        resources.all_fonts(page=self.page)
        find, start = OPERATORS.get, 0
        for place, operator in enumerate(map(find, tokens)):
            if operator is not None:
                try:
                    operator(self, tokens[start:place])
                except (ValueError, IndexError):  # too few operands, or not numbers: readers skip the operator
                    pass
                except (TypeError, KeyError, AttributeError, OverflowError, pikepdf.PikepdfError) as error:
                    raise Broken(f"what {tokens[place].decode()} uses is malformed") from error
                start = place + 1
        self.resources = outer

    @property
    def unseen(self) -> bool:
        return bool(self.hidden or self.masking)

    # --- graphics state ---------------------------------------------------------------------------
    def set_many(self, operands: list[bytes]) -> None:
        """gs: the entries of an ExtGState that matter for print."""
        wanted = self.resources.find("/ExtGState", operands[-1])
        if not isinstance(wanted, pikepdf.Dictionary):
            return
        state, sheet = self.state, self.sheet
        if "/LW" in wanted:
            state.width = abs(float(wanted["/LW"]))
        if "/OP" in wanted:
            state.over_stroke = state.over_fill = bool(wanted["/OP"])
        if "/op" in wanted:
            state.over_fill = bool(wanted["/op"])
        if "/Font" in wanted and isinstance(wanted["/Font"], pikepdf.Array):
            state.font = self.shelf.font(wanted["/Font"][0], page=self.page)
            state.size = float(wanted["/Font"][1])
        if float(wanted.get("/CA", 1)) < 1 or float(wanted.get("/ca", 1)) < 1 or _blends(wanted.get("/BM")):
            sheet.transparency = True
        mask = wanted.get("/SMask")
        if isinstance(mask, pikepdf.Dictionary):
            sheet.transparency = True
            if isinstance(mask.get("/G"), pikepdf.Stream):
                self.masking += 1
                try:
                    self.draw_form(mask["/G"])
                finally:
                    self.masking -= 1

    # --- colour -----------------------------------------------------------------------------------
    def fill_colour(self, operands: list[bytes]) -> None:
        self.state.fill = self._colour(self.state.fill.space, operands)

    def stroke_colour(self, operands: list[bytes]) -> None:
        self.state.stroke = self._colour(self.state.stroke.space, operands)

    def _colour(self, space: Space, operands: list[bytes]) -> Colour:
        if operands and operands[-1].startswith(b"/"):
            return self._pattern_colour(operands[-1])
        return Colour(space, numbers_of(operands, space.components))

    def _pattern_colour(self, name: bytes) -> Colour:
        pattern = self.resources.find("/Pattern", name)
        if not isinstance(pattern, pikepdf.Dictionary | pikepdf.Stream):
            return Colour(PATTERN)
        if isinstance(pattern, pikepdf.Stream):
            key = (pattern.objgen, self.base)
            if key not in self.patterns:
                self.patterns.add(key)
                self.draw_form(pattern, onto=self.base)
            return Colour(PATTERN)
        shading = pattern.get("/Shading")
        found = shading.get("/ColorSpace") if isinstance(shading, pikepdf.Dictionary | pikepdf.Stream) else None
        return Colour(space_of(found))

    # --- painting -----------------------------------------------------------------------------------
    def end_path(self, operands: list[bytes]) -> None:
        """n: the path only clips, or nothing."""

    def fill_path(self, path: list[bytes]) -> None:
        self.done += 1
        if self.unseen or not path:
            return
        state, sheet = self.state, self.sheet
        colour = state.fill
        where = self._box_of(path)
        sheet.paint(colour, where)
        if colour.white and state.over_fill:
            sheet.overprinted_white("path", where)
        sheet.overprint |= state.over_fill
        if path[-1] == b"re" and (thin := thinnest_box(path, state.ctm)):
            sheet.smallest("line", thin[0], lambda: thin[1])
        if len(colour.inks) > 2 and colour.percent > HEAVY:
            sheet.weigh(HeavyFill(colour.percent, outline_of(path, state.ctm)))

    def stroke_path(self, path: list[bytes]) -> None:
        self.done += 1
        if self.unseen or not path:
            return
        state, sheet = self.state, self.sheet
        where = self._box_of(path)
        sheet.paint(state.stroke, where)
        if state.stroke.white and state.over_stroke:
            sheet.overprinted_white("path", where)
        sheet.overprint |= state.over_stroke
        sheet.smallest("line", state.width * scale_of(state.ctm), where)

    def fill_and_stroke(self, path: list[bytes]) -> None:
        self.fill_path(path)
        self.stroke_path(path)

    def shade(self, operands: list[bytes]) -> None:
        self.done += 1
        shading = self.resources.find("/Shading", operands[-1])
        if self.unseen or not isinstance(shading, pikepdf.Dictionary | pikepdf.Stream):
            return
        ctm = self.state.ctm
        self.sheet.paint(Colour(space_of(shading.get("/ColorSpace"))), lambda: bounds(UNIT, ctm))

    def _box_of(self, path: list[bytes]) -> Callable[[], Box]:
        ctm = self.state.ctm
        return lambda: bounds(outline_of(path), ctm)

    # --- text -----------------------------------------------------------------------------------------
    def show_on_next_line(self, operands: list[bytes]) -> None:
        self.next_line(operands)
        self.show(operands)

    def show(self, operands: list[bytes]) -> None:
        if SHOWN not in operands:
            return
        self.done += 1
        state, sheet = self.state, self.sheet
        font = state.font
        if state.render in INVISIBLE or self.hidden:
            if font:
                font["invisible"] = True
            return
        if font:
            font["shown"] = True
        if self.masking:
            return
        at = times(self.text, state.ctm)
        size = abs(state.size) * hypot(at[2], at[3])
        colour = state.stroke if state.render in (1, 5) else state.fill
        reach = max(state.size, 1.0)

        def where() -> Box:
            return bounds(corners((0, 0, reach, reach)), at)

        sheet.paint(colour, where)
        sheet.overprint |= state.over_fill
        if colour.white and state.over_fill:
            sheet.overprinted_white("text", where)
        if colour.rich_black:
            sheet.black_text(colour, where)
        if font and size and font["type"] != "Type3":  # the size of a Type 3 font says nothing of its glyphs
            sheet.smallest("text", size, where, font=font["name"])
            if colour.white or colour.multi_ink:
                sheet.smallest("fine_text", size, where, font=font["name"])

    # --- images, forms and layers -----------------------------------------------------------------------
    def draw(self, operands: list[bytes]) -> None:
        found = self.resources.find("/XObject", operands[-1])
        if not isinstance(found, pikepdf.Stream):
            return
        off = "/OC" in found and self.shelf.is_hidden(found["/OC"])
        self.hidden += off
        try:
            if found.get("/Subtype") == "/Image":
                self.place(self.resources.picture(found))
            elif found.get("/Subtype") == "/Form":
                self.draw_form(found)
        finally:
            self.hidden -= off

    def place(self, picture: Picture) -> None:
        self.done += 1
        self.budget.spend("placed images")
        ctm, space = self.state.ctm, picture.space
        across, up = sides_of(ctm)
        if not (across and up and picture.width and picture.height):
            return
        box = bounds(UNIT, ctm)
        self.images.append({
            "page": self.page, "kind": "soft_mask" if self.masking else picture.kind,
            "width": picture.width, "height": picture.height, "bits": picture.bits,
            "colour": space.label, "indexed": space.indexed, "alpha": picture.alpha,
            "ppi": [round(min(FINEST, 72 * picture.width / across), 4), round(min(FINEST, 72 * picture.height / up), 4)],
            "box": box, "hidden": bool(self.hidden),
        })  # fmt: skip
        if self.unseen:
            return
        self.sheet.transparency |= picture.alpha
        self.sheet.marks += 1
        if picture.source is not None and picture.is_plain_cmyk:
            self.sheet.weigh(HeavyImage(picture.source, picture.width, picture.height, ctm))
        if picture.kind == "stencil":
            self.sheet.paint(self.state.fill, lambda: box)
        for name in space.names:
            self.sheet.names.setdefault(name, box)

    def place_inline(self, operands: list[bytes]) -> None:
        self.place(inline_picture(operands, self.resources))

    def draw_form(self, form: Any, *, onto: Matrix | None = None) -> None:
        """A form, tiling pattern or appearance: its own content, drawn with the state of now."""
        key = form.objgen
        if key in self.running or len(self.running) >= DEPTH:
            self.budget.noted.add("a drawing contains itself" if key in self.running else "drawings nested too deep")
            return
        if key in self.shelf.barren:
            return
        self.budget.spend("drawn forms")
        matrix, tokens, own = matrix_of(form), self.shelf.tokens(form), form.get("/Resources")
        group = form.get("/Group")
        if isinstance(group, pikepdf.Dictionary) and group.get("/S") == "/Transparency" and not self.masking:
            self.sheet.transparency = True
        before, outer = self.done, (self.state, self.stack, self.base, self.text, self.line, self.marked, self.hidden)
        self.state, self.stack, self.marked = self.state.copy(), [], []
        self.state.ctm = self.base = times(matrix, self.state.ctm if onto is None else onto)
        self.running.append(key)
        try:
            self.run(tokens, self.resources if own is None else self.shelf.resources_of(own))
        finally:
            self.running.pop()
            self.state, self.stack, self.base, self.text, self.line, self.marked, self.hidden = outer
        if self.done == before:
            self.shelf.barren.add(key)

    def begin_marked(self, operands: list[bytes]) -> None:
        layer = len(operands) > 1 and operands[-2] == b"/OC" and operands[-1].startswith(b"/")
        off = bool(layer and self.shelf.is_hidden(self.resources.find("/Properties", operands[-1])))
        self.marked.append(off)
        self.hidden += off

    def end_marked(self, operands: list[bytes]) -> None:
        if self.marked:
            self.hidden -= self.marked.pop()


def _blends(mode: Any) -> bool:
    if isinstance(mode, pikepdf.Array):
        mode = mode[0] if len(mode) else None
    return mode is not None and str(mode) not in ("/Normal", "/Compatible")


OPERATORS: dict[bytes, Callable[[Walker, list[bytes]], None]] = {
    b"q": Walker.save, b"Q": Walker.restore, b"cm": Walker.concatenate, b"w": Walker.line_width, b"gs": Walker.set_many,
    b"g": Walker.fill_gray, b"rg": Walker.fill_rgb, b"k": Walker.fill_cmyk, b"cs": Walker.fill_space,
    b"sc": Walker.fill_colour, b"scn": Walker.fill_colour,
    b"G": Walker.stroke_gray, b"RG": Walker.stroke_rgb, b"K": Walker.stroke_cmyk, b"CS": Walker.stroke_space,
    b"SC": Walker.stroke_colour, b"SCN": Walker.stroke_colour,
    b"f": Walker.fill_path, b"F": Walker.fill_path, b"f*": Walker.fill_path, b"S": Walker.stroke_path,
    b"s": Walker.stroke_path, b"B": Walker.fill_and_stroke, b"B*": Walker.fill_and_stroke, b"b": Walker.fill_and_stroke,
    b"b*": Walker.fill_and_stroke, b"n": Walker.end_path, b"sh": Walker.shade,
    b"BT": Walker.begin_text, b"Tf": Walker.set_font, b"Tr": Walker.set_render, b"TL": Walker.set_leading,
    b"Tm": Walker.set_matrix, b"Td": Walker.move, b"TD": Walker.move_and_lead, b"T*": Walker.next_line,
    b"Tj": Walker.show, b"TJ": Walker.show, b"'": Walker.show_on_next_line, b'"': Walker.show_on_next_line,
    b"Do": Walker.draw, b"ID": Walker.place_inline, b"BDC": Walker.begin_marked, b"BMC": Walker.begin_marked,
    b"EMC": Walker.end_marked,
}  # fmt: skip
