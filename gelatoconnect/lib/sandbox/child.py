"""The rendering process: `python -m gelatoconnect.lib.sandbox.child`, asked by `sandbox`; see `lib.apart.process`.

Jinja2's sandbox keeps a template from what it may not see, the process with its limits from what it may not cost.
"""

import base64
import marshal
from collections.abc import Iterator
from types import CodeType
from typing import Any

from jinja2 import Template, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gelatoconnect.lib.apart.process import Work, serve
from gelatoconnect.lib.sandbox.words import Missing, UnknownCode, Words, fromjson, many, tojson, xml

MEMORY = 256 * 1024 * 1024
CPU_SECONDS = 10
ANSWER_BYTES = 16 * 1024 * 1024
FILENAME = "template"
LOADING = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
TIMEOUT = {"error": "TEMPLATE_TIMEOUT", "message": "It took too long."}
TOO_LARGE = {"error": "TEMPLATE_TOO_LARGE", "message": "It makes too much text."}
CRASHED = {"error": "TEMPLATE_FAILED", "message": "Rendering it came to an unexpected end."}

WORDS = Words()


class Sandbox(ImmutableSandboxedEnvironment):
    """Of an object, a name is always a key: data with "items" or "values" in it is read like any other."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, dict):
            try:
                return obj[argument]
            except (KeyError, TypeError):
                return self.undefined(obj=obj, name=argument)
        return super().getitem(obj, argument)

    def is_safe_callable(self, obj: Any) -> bool:
        return isinstance(obj, Missing) or super().is_safe_callable(obj)


class TooMuch(Exception):
    """The output is longer than it may be."""


class Forbidden(Exception):
    """The template asks for what no template may; with the line."""


def environment() -> Sandbox:
    made = Sandbox(
        undefined=Missing, autoescape=False, optimized=False, trim_blocks=True, lstrip_blocks=True, cache_size=0,
        extensions=["jinja2.ext.loopcontrols"],
    )  # fmt: skip
    made.globals.pop("lipsum")
    made.globals["lookups"] = WORDS.lookups
    made.filters |= {"lookup": WORDS.lookup, "tojson": tojson, "fromjson": fromjson, "xml": xml, "many": many}
    return made


ENVIRONMENT = environment()


WARMUP: dict[str, Any] = {"template": "{% for a in b %}{{ a | tojson }}{% endfor %}", "context": {"b": [{"c": 1}]},
                          "tables": {}, "max_output": 1000}  # fmt: skip


def main() -> None:
    WARMUP["code"] = next(answer(WARMUP))["code"]  # most templates are compiled when they come: so is this one
    serve(Work(do=answer, warm_up=warm_up, memory=MEMORY, cpu_seconds=CPU_SECONDS, answer_bytes=ANSWER_BYTES,
               timeout=TIMEOUT, too_long=TOO_LARGE, crashed=CRASHED, open_files=32))  # fmt: skip


def warm_up() -> None:
    next(answer(WARMUP))


def answer(question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The output, with the compiled template if it came without; or what is wrong, and in which line."""
    WORDS.tables = question["tables"]
    template: Template | None = None
    try:
        code, said = _compiled(question)
        template = Template.from_code(ENVIRONMENT, code, ENVIRONMENT.make_globals(None))
        output = _rendered(template, question["context"], question["max_output"])
        said["output"] = output.encode(errors="replace").decode().replace("\0", "")
    except Exception as error:
        said = _failure(error, _line_of(error, template))
    yield said


def _compiled(question: dict[str, Any]) -> tuple[CodeType, dict[str, Any]]:
    """The template as code, and what is to be said of it."""
    if known := question.get("code"):
        return marshal.loads(base64.b64decode(known)), {}  # noqa: S302  # made by a process like this one
    tree = ENVIRONMENT.parse(question["template"])
    if (loading := next(tree.find_all(LOADING), None)) is not None:
        raise Forbidden("Other templates cannot be included, imported or extended.", loading.lineno)
    code = ENVIRONMENT.compile(tree, None, FILENAME)
    return code, {"code": base64.b64encode(marshal.dumps(code)).decode()}


def _rendered(template: Template, context: dict[str, Any], max_output: int) -> str:
    parts, length = [], 0
    for part in template.root_render_func(template.new_context(context)):
        length += len(part)
        if length > max_output:
            raise TooMuch
        parts.append(part)
    return "".join(parts)


def _failure(error: Exception, line: int | None) -> dict[str, Any]:
    message = str(error).strip()
    if isinstance(error, TemplateSyntaxError):
        return _said("TEMPLATE_SYNTAX", error.message or "It is not understood.", error.lineno)
    if isinstance(error, SyntaxError):
        return _said("TEMPLATE_SYNTAX", f"It is not understood: {error.msg}.", line)
    if isinstance(error, Forbidden):
        return _said("TEMPLATE_FORBIDDEN", error.args[0], error.args[1])
    if isinstance(error, SecurityError):
        return _said("TEMPLATE_FORBIDDEN", message, line)
    if isinstance(error, UndefinedError):
        return _said("TEMPLATE_UNDEFINED", message, line)
    if isinstance(error, UnknownCode):
        return _said("MAPPING_LOOKUP_UNKNOWN", message, line)
    if isinstance(error, TooMuch | MemoryError | OverflowError):
        return _said("TEMPLATE_TOO_LARGE", TOO_LARGE["message"], line)
    if isinstance(error, RecursionError):
        return _said("TEMPLATE_FAILED", "It calls itself, or is nested, too deeply.", line)
    return _said("TEMPLATE_FAILED", f"{message or type(error).__name__}.".replace("..", "."), line)


def _said(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"error": code, "message": message[:600].encode(errors="replace").decode().replace("\0", ""), "line": line}


def _line_of(error: BaseException, template: Template | None) -> int | None:
    """The line of the template in which it happened: the innermost one."""
    found, step = None, error.__traceback__
    while step is not None:
        if template is not None and step.tb_frame.f_globals is template.root_render_func.__globals__:
            found = template.get_corresponding_lineno(step.tb_lineno)
        step = step.tb_next
    return found


if __name__ == "__main__":
    main()
