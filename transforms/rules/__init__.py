"""The detection rules that ship with trailcanary, in Sigma's format, and the fields derived for them."""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePath


def builtin_rules() -> dict[str, str]:
    """The text of every shipped rule by file stem, in order of the stems; works from an installed wheel too."""
    categories = (entry for entry in files(__name__).iterdir() if entry.is_dir())
    rules = {
        PurePath(entry.name).stem: entry.read_text("utf-8")
        for category in categories
        for entry in category.iterdir()
        if entry.name.endswith(".yml") and not entry.name.endswith(".events.yml")
    }
    return dict(sorted(rules.items()))
