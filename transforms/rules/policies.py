"""Resource policies (buckets, keys, CloudTrail resources, access points): who is allowed, who is denied.

Conditions are not evaluated: a statement with a condition that this module does not know counts as if it held, for
Deny and Allow alike, since what it depends on is not in the record. Source: IAM user guide, policy elements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from transforms.rules.members import at, document, elements, strings_of, text, texts
from transforms.rules.ownership import account_of

CLOUDTRAIL = "cloudtrail.amazonaws.com"
_ACCOUNT = re.compile(r"\d{12}")
_ANYONE = "*"
_OLD_TLS = frozenset({"1.1", "1.2"})  # "below 1.2" spares every SDK in use; "below 1.3" most
# Keys that confine a statement for everyone to an organization, an account, a network or a calling resource.
_CONFINING = frozenset(
    {
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "kms:calleraccount",
    }
)


class Statement(msgspec.Struct, frozen=True):
    """One statement of a policy. Names and actions are lower case; `conditions` are (key, values) pairs."""

    allows: bool
    services: frozenset[str]
    principals: frozenset[str]
    others_only: bool
    actions: tuple[str, ...]
    other_actions: tuple[str, ...] | None
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def is_for_anyone(self) -> bool:
        """True for Principal "*", for {"AWS": "*"} and for NotPrincipal."""
        return self.others_only or _ANYONE in self.principals

    @property
    def is_for_cloudtrail(self) -> bool:
        """True where the CloudTrail service is among those the statement is for."""
        return CLOUDTRAIL in self.services or self.is_for_anyone

    @property
    def is_about_transport(self) -> bool:
        """True where a condition limits it to calls without TLS, or with an old version: nobody who matters."""
        insecure = self.values_of("aws:securetransport")
        old = self.values_of("numericlessthan s3:tlsversion")
        return bool(insecure and set(map(str.lower, insecure)) == {"false"}) or bool(old and set(old) <= _OLD_TLS)

    def covers(self, action: str) -> bool:
        """Whether an action such as `s3:putobject` falls under Action, or not under NotAction."""
        if self.other_actions is not None:
            return not any(glob_matches(pattern, action) for pattern in self.other_actions)
        return any(glob_matches(pattern, action) for pattern in self.actions)

    def values_of(self, key: str) -> tuple[str, ...] | None:
        """The values a condition key is compared with; None where the statement has no such condition."""
        found = [values for name, values in self.conditions if name == key]
        return tuple(value for values in found for value in values) if found else None

    def outside_of(self, inside: frozenset[str]) -> bool:
        """Whether it names a principal of an account that is not inside, or anyone without a confining condition.

        Canonical user ids and identity providers tell no account: outside. AWS services are not.
        """
        if self.is_for_anyone:
            return not any(_confines(key, values, inside) for key, values in self.conditions)
        return any((account_of(name) or name) not in inside for name in self.principals)


def statements(policy: Any) -> list[Statement]:
    """The statements of a policy given as an object or as JSON text; what is no statement is left out."""
    found = elements(at(document(policy), "Statement"))
    return [_statement(each) for each in found if isinstance(each, Mapping)]


def mentions(policy: Any, *words: str) -> bool:
    """Whether any text of the policy contains one of the words."""
    return any(word in found for found in strings_of(document(policy)) for word in words)


def glob_matches(pattern: str, name: str) -> bool:
    """IAM's wildcards: `*` any run of characters, `?` any one; without regard to case."""
    return _compiled(pattern.lower()).fullmatch(name.lower()) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # A run before each "*" is matched once and for all (atomic groups), so a hostile pattern costs no backtracking.
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in re.sub(r"\*+", "*", pattern).split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _statement(found: Mapping[str, Any]) -> Statement:
    excluded = "NotPrincipal" in found
    services, principals = _principals(found.get("NotPrincipal" if excluded else "Principal"))
    others = _lower(found["NotAction"]) if "NotAction" in found else None
    return Statement(
        allows=found.get("Effect") == "Allow",
        services=services,
        principals=principals,
        others_only=excluded,
        actions=_lower(found.get("Action")),
        other_actions=others,
        resources=tuple(texts(found.get("Resource"))),
        conditions=tuple(_conditions(found.get("Condition"))),
    )


def _principals(found: Any) -> tuple[frozenset[str], frozenset[str]]:
    """Services, and everyone else: account ids, ARNs, canonical user ids, providers, or `*`."""
    if not isinstance(found, Mapping):
        return frozenset(), frozenset(texts(found))
    services = frozenset(_lower(found.get("Service")))
    return services, frozenset(name for kind in found if kind != "Service" for name in texts(found[kind]))


def _conditions(found: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Pairs of condition key and values, over all operators; negations and number ranges keep the operator's name."""
    if not isinstance(found, Mapping):
        return
    for operator, pairs in found.items():
        kind = operator.lower()
        for key, values in pairs.items() if isinstance(pairs, Mapping) else ():
            name = key.lower()
            yield (f"{kind} {name}" if "not" in kind or "numeric" in kind else name), _as_texts(values)


def _as_texts(values: Any) -> tuple[str, ...]:
    """Condition values as text; booleans too."""
    return tuple(str(each).lower() if isinstance(each, bool) else text(each) or "" for each in elements(values))


def _confines(key: str, values: tuple[str, ...], inside: frozenset[str]) -> bool:
    """Whether a condition keeps outsiders off: a confining key whose values are no accounts but those inside."""
    if key not in _CONFINING or _ANYONE in values:
        return False
    accounts = (account_of(value) or (value if _ACCOUNT.fullmatch(value) else "") for value in values)
    return all(not account or account in inside for account in accounts)


def _lower(value: Any) -> tuple[str, ...]:
    return tuple(name.lower() for name in texts(value))
