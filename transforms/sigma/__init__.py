"""Sigma rules on CloudTrail archives: `parse_rules` compiles YAML, `RuleSet.evaluate` finds what they describe.

Only parsing needs pySigma; a compiled RuleSet is plain data that workers evaluate without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transforms.sigma.rule import Rule
from transforms.sigma.ruleset import RuleSet

__all__ = ["Rule", "RuleSet", "parse_rules"]


def parse_rules(sources: Mapping[str, str], beside: Sequence[Rule] = ()) -> RuleSet:
    """Compile Sigma rules, each a file name and its YAML text, and put them after those compiled before, `beside`.

    Raises:
        UsageError: Some rules cannot be evaluated as they are written; one problem each, `file: reason`, for all.
    """
    from transforms.sigma.parse import compile_rules  # noqa: PLC0415 - workers never need pySigma

    return compile_rules(sources, beside)
