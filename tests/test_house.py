"""The house rules that a machine can watch over."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Who may import whom: a package sees itself and those named. `gelatoconnect.lib` is the ground, `gelatoconnect` the roof.
DOWNHILL = {
    "gelatoconnect.lib": set(),
    "orders": {"gelatoconnect.lib"},
    "intake": {"gelatoconnect.lib", "orders"},
    "shipping": {"gelatoconnect.lib", "orders"},
}
LAYERS = [
    "lifecycle",
    "drafts",
    "models",
    "search",
    "events",
    "services",
    "payloads",
    "webhooks",
    "mails",
    "notifications",
]


def sources(package: str) -> Iterator[Path]:
    return (path for path in (ROOT / package.replace(".", "/")).rglob("*.py") if "migrations" not in path.parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def package_of(module: str) -> str:
    return "gelatoconnect.lib" if module.startswith("gelatoconnect.lib") else module.split(".")[0]


@pytest.mark.parametrize("package", DOWNHILL)
def test_imports_run_downhill(package: str) -> None:
    ours = {"gelatoconnect", "gelatoconnect.lib", "orders", "intake", "shipping"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(package)
        for line, module in imports(path)
        if package_of(module) in ours - {package} - DOWNHILL[package] and module != "gelatoconnect"
    ]
    assert wrong == []


def test_inside_orders_no_layer_imports_one_above_it() -> None:
    wrong = [
        f"{layer} imports {module}"
        for place, layer in enumerate(LAYERS)
        for _, module in imports(ROOT / "orders" / f"{layer}.py")
        for above in LAYERS[place + 1 :]
        if module.startswith(f"orders.{above}")
    ]
    assert wrong == []


def test_only_the_lifecycle_writes_a_status() -> None:
    writes = re.compile(r"(order|fresh|self)\.status\s*=[^=]|Order\.objects\.[^\n]*update\([^)]*status=")
    wrong = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for package in ("orders", "intake", "shipping")
        for path in sources(package)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if writes.search(line) and "status = FSMField" not in line
    ]
    assert wrong == []


def test_nothing_but_the_door_opens_connections() -> None:
    clients = {
        "requests",
        "httpx",
        "urllib3",
        "http.client",
        "urllib.request",
        "aiohttp",
        "socket",
        "ftplib",
        "paramiko",
    }
    allowed = {
        "gelatoconnect/lib/http",
        "gelatoconnect/lib/places",
        "gelatoconnect/supervisor.py",
        "gelatoconnect/management/commands/up.py",
    }
    wrong = [
        f"{name}:{line} imports {module}"
        for package in ("orders", "intake", "shipping", "gelatoconnect")
        for path in sources(package)
        for line, module in imports(path)
        if module in clients and not any((name := str(path.relative_to(ROOT))).startswith(one) for one in allowed)
    ]
    assert wrong == []
