"""Templates see only the data they are given, and a hostile one ends within its limits; the next is rendered as usual."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from gelatoconnect.lib import sandbox
from gelatoconnect.lib.problems import Rejected
from gelatoconnect.lib.sandbox import RENDERERS, holds, render
from gelatoconnect.lib.sandbox.child import MEMORY

DATA: dict[str, Any] = {
    "request": {"id": "A-1", "items": [{"sku": "MUG", "values": 2}], "note": None, "name": 'Éva "<&>" O\'Hara'},
}
TIME, SIZE = "TEMPLATE_TIMEOUT", "TEMPLATE_TOO_LARGE"
HOSTILE = {
    "loops within loops": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", {TIME}),
    "a loop that writes": ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", {SIZE}),
    "a long text": ("{{ 'x' * 10**9 }}", {SIZE}),
    "a text that doubles": ("{% set n = namespace(s='x') %}{% for a in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
                            {SIZE}),
    "a wide number": ("{{ '%0999999999d' % 1 }}", {SIZE}),
    "a wide number by filter": ("{{ '%0999999999d' | format(1) }}", {SIZE}),
    "a wide text": ("{{ 'x' | center(10**9) }}", {SIZE}),
    "a wide format": ("{{ '{:>999999999}'.format(1) }}", {SIZE}),
    "a deep indent": ("{{ ('a\n' * 9999) | indent(99999) }}", {SIZE, TIME}),
    "wide batches": ("{{ [1] | batch(10**9, 'x') | list }}", {SIZE, TIME}),
    "many slices": ("{{ [1] | slice(10**9) | list }}", {SIZE, TIME}),
    "a huge power": ("{{ 10**(10**8) }}", {TIME, SIZE, "TEMPLATE_FAILED"}),
    "a power of powers": ("{% set n = 9**(9**9) %}", {TIME, SIZE}),
    "a replacement that explodes": ("{{ ('x' * 30000).replace('x', 'y' * 30000) }}", {SIZE}),
    "a list that explodes": ("{{ ([0] * 10**9) | length }}", {SIZE}),
    "a range beyond all": ("{{ range(10**9) | list }}", {SIZE}),
    "a macro that calls itself": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {"TEMPLATE_FAILED"}),
    "a macro that calls itself twice": ("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
                                        "{{ m(60) }}", {TIME}),
    "a loop that recurses": ("{% for a in [[[1]]] * 50 recursive %}{{ loop([[1]] * 50) }}{% endfor %}",
                             {TIME, "TEMPLATE_FAILED"}),
    "brackets without end": ("{{ " + "(" * 50_000 + " }}", {"TEMPLATE_SYNTAX", "TEMPLATE_FAILED"}),
    "blocks without end": ("{% if 1 %}" * 5_000, {"TEMPLATE_SYNTAX", "TEMPLATE_FAILED"}),
    "a whole book": ("x" * 300_000, {SIZE}),
}  # fmt: skip
ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ request.__init__.__globals__ }}",
    "{{ request.id.__init__.__globals__ }}",
    "{{ request['id']['__class__'] }}",
    "{{ request.id | attr('__class__') }}",
    "{{ [request.id] | map(attribute='__class__') | join }}",
    "{{ ['%s'.__class__][0] }}",
    "{{ '{0.__class__}'.format(request.id) }}",
    "{{ '{a.__class__.__mro__}'.format_map({'a': 1}) }}",
    "{{ lookups.__globals__ }}",
    "{{ lookups.__self__.tables }}",
    "{{ lookups({'a': 1}).__class__ }}",
    "{{ lookups({'a': 1})._entries }}",
    "{{ range.__call__.__self__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self.__init__.__globals__ }}",
    "{{ cycler.__init__.__globals__.os }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m._environment }}",
    "{{ request['items'].append(1) }}",
    "{{ request.update({'id': 'B'}) }}",
    "{{ ().__class__.__base__ }}",
    "{{ (1).__class__ }}",
    "{{ missing.__class__.__init__ }}",
]


def refusal(source: str, context: dict[str, Any] = DATA, **more: Any) -> tuple[str, int | None]:
    with pytest.raises(Rejected) as refused:
        render(source, context, **more)
    [problem] = refused.value.problems
    return problem.code, problem.details.get("line")


@pytest.fixture
def own_renderer() -> Iterator[None]:
    """A warm process of the test's own, so that it may be treated badly."""
    RENDERERS.close()
    yield
    RENDERERS.close()


# --- what it can do ---------------------------------------------------------------------------------
def test_data_named_like_methods_is_read_as_data() -> None:
    assert render("{% for i in request.items %}{{ i.sku }} {{ i.values }}{% endfor %}", DATA) == "MUG 2"
    assert render("{% for k, v in i.items() %}{{ k }}{% endfor %}{{ i.get('x', 'y') }}", {"i": {"b": 1}}) == "by"
    assert render("{{ i.items | many | length }} {{ i['keys'] | default('no') }}", {"i": {}}) == "0 no"


def test_what_is_missing_is_an_error_unless_there_is_a_default() -> None:
    assert render("{{ request.a.b[0].c | default('none') }}", DATA) == "none"
    assert render("{{ request.a is defined }}", DATA) == "False"
    assert refusal("\n{{ request.a.b }}") == ("TEMPLATE_UNDEFINED", 2)
    assert refusal("{{ request.a | tojson }}") == ("TEMPLATE_UNDEFINED", 1)
    assert refusal("{% if nothing %}{% endif %}") == ("TEMPLATE_UNDEFINED", 1)
    with pytest.raises(Rejected) as refused:
        render("{{ request.sku }}", DATA)
    assert refused.value.problems[0].message == "Line 1: 'sku' is not there; there is: id, items, note, name."


def test_json_and_xml_are_written_as_their_readers_want_them() -> None:
    assert render("{{ request.name | tojson }}", DATA) == '"Éva \\"<&>\\" O\'Hara"'
    assert render("{{ request.name | xml }}", DATA) == "Éva &quot;&lt;&amp;&gt;&quot; O&apos;Hara"
    assert render("{{ request.note | tojson }} {{ request.note | xml }}|", DATA) == "null |"
    assert render("{{ ('[1, 2]' | fromjson)[1] }}", {}) == "2"
    assert render("{{ request.name }}", DATA) == DATA["request"]["name"]


@pytest.mark.parametrize(("lookup", "said"), [
    ("lookups({'STD': 'normal'})['STD']", "normal"),
    ("lookups({'STD': 'normal'})('std')", "normal"),
    ("'STD' | lookup('shipping')", "normal"),
    ("7 | lookup({7: 'seven'})", "seven"),
    ("lookups('shipping', default='slow')['?']", "slow"),
    ("lookups('shipping', strict=false)['?']", "?"),
    ("lookups('shipping', strict=true, default='slow')(request.nothing)", "slow"),
    ("request.nothing | lookup('shipping', default='slow')", "slow"),
    ("lookups('shipping', strict=true, default='slow')['?']", None),
    ("lookups('shipping')['?']", None),
    ("request.nothing | lookup('shipping')", None),
    ("lookups('no such table')['STD']", None),
])  # fmt: skip
def test_codes_are_looked_up(lookup: str, said: str | None) -> None:
    tables = {"shipping": {"STD": "normal"}}
    if said is None:
        assert refusal(f"\n{{{{ {lookup} }}}}", tables=tables) == ("MAPPING_LOOKUP_UNKNOWN", 2)
    else:
        assert render(f"{{{{ {lookup} }}}}", DATA, tables=tables) == said


def test_a_lookup_that_fails_names_the_table_and_the_code() -> None:
    with pytest.raises(Rejected) as refused:
        render("{{ 'XX' | lookup('shipping') }}", {}, tables={"shipping": {"STD": "normal"}})
    assert refused.value.problems[0].message == "Line 1: The table 'shipping' has no entry for 'XX'."


def test_errors_say_their_line() -> None:
    assert refusal("a\n{{ 1 / 0 }}") == ("TEMPLATE_FAILED", 2)
    assert refusal("a\n\n{% if %}") == ("TEMPLATE_SYNTAX", 3)
    assert refusal("a\n{{ ''.__class__ }}") == ("TEMPLATE_FORBIDDEN", 2)
    assert refusal("{% macro m() %}\n{{ request.x }}{% endmacro %}\n\n{{ m() }}") == ("TEMPLATE_UNDEFINED", 2)


def test_an_expression_holds_or_not() -> None:
    assert holds("topic == 'cancel' or request.id == 'A-1'", DATA | {"topic": ""})
    assert not holds("topic.endswith('cancel')", {"topic": "orders"})


def test_a_compiled_template_gives_what_the_first_gave() -> None:
    source = "{{ request.id }} {{ request.nothing }}"
    assert render("{{ request.id }}!", DATA) == render("{{ request.id }}!", DATA) == "A-1!"
    assert refusal(source) == refusal(source)


def test_output_is_clean_text() -> None:
    assert render("{{ '\\ud800a\\x00b' }}", {}) == "?ab"


# --- what it cannot do ------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_template_ends_and_the_next_is_rendered_as_usual(kind: str) -> None:
    source, codes = HOSTILE[kind]
    assert render("{{ request.id }}", DATA) == "A-1"
    known = set(RENDERERS.all)
    start = time.monotonic()
    code, _ = refusal(source)
    assert time.monotonic() - start < 2
    assert code in codes
    assert render("{{ request.id }}", DATA) == "A-1"
    assert set(RENDERERS.all) == known  # nothing had to be started again
    assert max(psutil.Process(one.process.pid).memory_info().rss for one in known) < MEMORY / 2


@pytest.mark.parametrize("source", ESCAPES)
def test_a_template_cannot_leave_its_data(source: str) -> None:
    assert refusal(source)[0] in {"TEMPLATE_FORBIDDEN", "TEMPLATE_UNDEFINED"}
    assert render("{{ request | tojson }}", DATA) == render("{{ request | tojson }}", DATA)


@pytest.mark.parametrize("source", ["{% include 'a' %}", "{% import 'a' as b %}", "{% from 'a' import b %}",
                                    "{% extends '/etc/passwd' %}"])  # fmt: skip
def test_no_other_template_is_loaded(source: str) -> None:
    assert refusal("\n" + source) == ("TEMPLATE_FORBIDDEN", 2)


def test_only_plain_data_goes_in() -> None:
    for value in (object(), os, lambda: 1, DATA.items()):
        with pytest.raises(TypeError):
            render("{{ a }}", {"a": value})


def test_out_of_time_may_be_sent_again_and_what_is_wrong_may_not() -> None:
    with pytest.raises(Rejected) as slow:
        render(HOSTILE["loops within loops"][0], {}, seconds=0.1)
    with pytest.raises(Rejected) as wrong:
        render("{{ a }}", {})
    assert (slow.value.status, wrong.value.status) == (503, 422)


def test_a_long_request_fits() -> None:
    lines = [{"sku": f"MUG-{number}", "text": "x" * 1000} for number in range(800)]
    assert render("{{ lines | length }} {{ lines[799].sku }}", {"lines": lines}) == "800 MUG-799"


def test_a_dead_renderer_is_replaced(own_renderer: None) -> None:
    assert render("a", {}) == "a"
    [first] = RENDERERS.all
    os.kill(first.process.pid, signal.SIGKILL)
    assert render("a", {}) == "a"
    [second] = RENDERERS.all
    assert second is not first


def test_the_renderer_knows_no_secrets(own_renderer: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush")
    render("a", {})
    [reader] = RENDERERS.all
    assert psutil.Process(reader.process.pid).environ() == {}


def test_a_small_template_is_rendered_quickly() -> None:
    render("{{ request.id }}", DATA)
    times = []
    for _ in range(20):
        time.sleep(0.01)
        start = time.monotonic()
        render("{{ request.id }}", DATA)
        times.append(time.monotonic() - start)
    assert sorted(times)[10] < 0.05  # about 3 ms on a quiet machine


def test_few_compiled_templates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MOST_KEPT", 2)
    sandbox._compiled.clear()
    assert [render(f"{number}", {}) for number in range(4)] == ["0", "1", "2", "3"]
    assert len(sandbox._compiled) == 2
