"""Calls on the key that encrypts the logs: whom a grant admits, and when key material expires."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules.lifecycle import RETENTION_FLOOR_DAYS, is_early
from transforms.rules.members import parameters, text
from transforms.rules.ownership import account_of, inside_accounts


def describe_grant(event: Mapping[str, Any], log_path: LogPath) -> dict[str, Any]:
    """CreateGrant: True if the grantee is of an account that is not inside; AWS services are no outsiders."""
    grantee = text(parameters(event, "granteePrincipal")) or ""
    account = account_of(grantee)
    outside = (
        bool(grantee) and not grantee.endswith(".amazonaws.com") and account not in inside_accounts(event, log_path)
    )
    return {"derived.grantee_outside": outside}


def describe_material(event: Mapping[str, Any], _log_path: LogPath) -> dict[str, Any]:
    """ImportKeyMaterial: True if it is new material, or expires below the retention floor."""
    expires = is_early(None, parameters(event, "validTo"), event, RETENTION_FLOOR_DAYS)
    return {"derived.material_endangered": expires or parameters(event, "importType") == "NEW_KEY_MATERIAL"}
