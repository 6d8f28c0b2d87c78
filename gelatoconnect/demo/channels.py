"""The demo's connectors: settings of one connector of each type, and who uses it."""

from typing import Any

# Type → settings. Secrets of the demo are public knowledge, like its logins.
SETTINGS: dict[str, dict[str, Any]] = {}
