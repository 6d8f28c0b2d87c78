"""The graphics state, and the operators that only change it (ISO 32000-1, 8.4, 8.6.8 and 9.3)."""

from collections.abc import Sequence
from math import isfinite

from intake.preflight.colours import CMYK, GRAY, RGB, Colour, Space
from intake.preflight.facts import Font
from intake.preflight.geometry import IDENTITY, Matrix, times
from intake.preflight.resources import Resources
from intake.preflight.tokens import number

BLACK = Colour(GRAY, (0.0,))


class State:
    """The part of the graphics state that matters here."""

    __slots__ = ("ctm", "fill", "font", "over_fill", "over_stroke", "render", "size", "stroke", "width")

    def __init__(self, ctm: Matrix) -> None:
        self.ctm, self.width = ctm, 1.0
        self.fill = self.stroke = BLACK
        self.font: Font | None = None
        self.size, self.render = 0.0, 0
        self.over_fill = self.over_stroke = False

    def copy(self) -> "State":
        twin = State.__new__(State)
        twin.ctm, twin.width, twin.fill, twin.stroke = self.ctm, self.width, self.fill, self.stroke
        twin.font, twin.size, twin.render = self.font, self.size, self.render
        twin.over_fill, twin.over_stroke = self.over_fill, self.over_stroke
        return twin


class Graphics:
    """Follows the state through a content stream; what is painted with it is the Walker's."""

    def __init__(self, ctm: Matrix, resources: Resources, *, page: int) -> None:
        self.state, self.resources, self.page = State(ctm), resources, page
        self.stack: list[State] = []
        self.text: Matrix = IDENTITY
        self.line: Matrix = IDENTITY
        self.leading = 0.0

    def save(self, operands: list[bytes]) -> None:
        self.stack.append(self.state)
        self.state = self.state.copy()

    def restore(self, operands: list[bytes]) -> None:
        if self.stack:
            self.state = self.stack.pop()

    def concatenate(self, operands: list[bytes]) -> None:
        moved = times(numbers_of(operands, 6), self.state.ctm)
        if isfinite(sum(moved)):
            self.state.ctm = moved

    def line_width(self, operands: list[bytes]) -> None:
        self.state.width = abs(numbers_of(operands, 1)[0])

    def fill_gray(self, operands: list[bytes]) -> None:
        self.state.fill = Colour(self.resources.device(GRAY), numbers_of(operands, 1))

    def fill_rgb(self, operands: list[bytes]) -> None:
        self.state.fill = Colour(self.resources.device(RGB), numbers_of(operands, 3))

    def fill_cmyk(self, operands: list[bytes]) -> None:
        self.state.fill = Colour(self.resources.device(CMYK), numbers_of(operands, 4))

    def stroke_gray(self, operands: list[bytes]) -> None:
        self.state.stroke = Colour(self.resources.device(GRAY), numbers_of(operands, 1))

    def stroke_rgb(self, operands: list[bytes]) -> None:
        self.state.stroke = Colour(self.resources.device(RGB), numbers_of(operands, 3))

    def stroke_cmyk(self, operands: list[bytes]) -> None:
        self.state.stroke = Colour(self.resources.device(CMYK), numbers_of(operands, 4))

    def fill_space(self, operands: list[bytes]) -> None:
        self.state.fill = initial_colour(self.resources.space(operands[-1]))

    def stroke_space(self, operands: list[bytes]) -> None:
        self.state.stroke = initial_colour(self.resources.space(operands[-1]))

    # --- text ---
    def begin_text(self, operands: list[bytes]) -> None:
        self.text = self.line = IDENTITY

    def set_font(self, operands: list[bytes]) -> None:
        self.state.font = self.resources.font(operands[-2], page=self.page)
        self.state.size = numbers_of(operands, 1)[0]

    def set_render(self, operands: list[bytes]) -> None:
        self.state.render = int(numbers_of(operands, 1)[0])

    def set_leading(self, operands: list[bytes]) -> None:
        self.leading = numbers_of(operands, 1)[0]

    def set_matrix(self, operands: list[bytes]) -> None:
        a, b, c, d, e, f = numbers_of(operands, 6)
        self.text = self.line = (a, b, c, d, e, f)

    def move(self, operands: list[bytes]) -> None:
        x, y = numbers_of(operands, 2)
        a, b, c, d, e, f = self.line
        self.text = self.line = (a, b, c, d, x * a + y * c + e, x * b + y * d + f)

    def move_and_lead(self, operands: list[bytes]) -> None:
        self.leading = -numbers_of(operands, 2)[1]
        self.move(operands)

    def next_line(self, operands: list[bytes]) -> None:
        a, b, c, d, e, f = self.line
        self.text = self.line = (a, b, c, d, e - self.leading * c, f - self.leading * d)


def numbers_of(operands: Sequence[bytes], count: int) -> list[float]:
    """The last `count` operands. Raises ValueError when there are fewer."""
    found = operands[-count:] if count else operands[:0]
    if len(found) < count:
        raise ValueError(count)
    try:
        numbers = list(map(float, found))
    except ValueError:
        numbers = list(map(number, found))
    if not isfinite(sum(numbers)):
        raise ValueError(found)
    return numbers


def initial_colour(space: Space) -> Colour:
    """The colour right after a space was chosen: black, or full tint (ISO 32000-1, 8.6.5.6 and after)."""
    if space.label in ("separation", "devicen"):
        return Colour(space, (1.0,) * space.components)
    if space.label in ("cmyk", "icc-cmyk"):
        return Colour(space, (0.0, 0.0, 0.0, 1.0))
    return Colour(space, (0.0,) * space.components)
