"""CloudTrail records as AWS documents them, versions 1.0 to 1.11.

Strict on purpose: a field that AWS adds or retypes makes the record take the tolerant path (`transforms.tolerant`),
which keeps it. Free-form members stay raw JSON. Source: AWS CloudTrail user guide, "CloudTrail record contents" and
"CloudTrail userIdentity element".
"""

from __future__ import annotations

import msgspec

Json = msgspec.Raw
"""A member's JSON text as delivered, neither parsed nor re-serialised. Absent is empty; null is `null`."""

ABSENT = msgspec.Raw()


class _Strict(msgspec.Struct, rename="camel", forbid_unknown_fields=True, gc=False):
    pass


class SessionIssuer(_Strict):
    """userIdentity.sessionContext.sessionIssuer; `{}` is common."""

    type: str | None = None
    user_name: str | None = None
    principal_id: str | None = None
    arn: str | None = None
    account_id: str | None = None


class SessionAttributes(_Strict):
    """userIdentity.sessionContext.attributes; `mfaAuthenticated` is text in the vendor's format."""

    creation_date: str | None = None
    mfa_authenticated: str | None = None


class SessionContext(_Strict):
    """userIdentity.sessionContext."""

    session_issuer: SessionIssuer | None = None
    web_id_federation_data: Json = ABSENT
    attributes: SessionAttributes | None = None
    source_identity: str | None = None
    ec2_role_delivery: str | None = None
    assumed_root: str | None = None
    sign_in_session_arn: str | None = None


class UserIdentity(_Strict):
    """userIdentity; every member may be missing, `type` included (service events)."""

    type: str | None = None
    user_name: str | None = None
    principal_id: str | None = None
    arn: str | None = None
    account_id: str | None = None
    access_key_id: str | None = None
    session_context: SessionContext | None = None
    invoked_by: str | None = None
    invoked_by_delegate: Json = ABSENT
    identity_provider: str | None = None
    credential_id: str | None = None
    on_behalf_of: Json = ABSENT
    in_scope_of: Json = ABSENT


class TlsDetails(_Strict):
    """tlsDetails."""

    tls_version: str | None = None
    cipher_suite: str | None = None
    client_provided_host_header: str | None = None
    key_exchange: str | None = None


class Addendum(_Strict):
    """addendum: why this record came late or again."""

    reason: str | None = None
    updated_fields: str | None = None
    original_request_id: str | None = msgspec.field(default=None, name="originalRequestID")
    original_event_id: str | None = msgspec.field(default=None, name="originalEventID")


class Resource(_Strict):
    """One element of resources."""

    arn: str | None = msgspec.field(default=None, name="ARN")
    arn_prefix: str | None = msgspec.field(default=None, name="ARNPrefix")
    account_id: str | None = None
    type: str | None = None


class Record(_Strict):
    """One CloudTrail record. Field order is the archive's column order."""

    event_time: str
    event_id: str | None = msgspec.field(default=None, name="eventID")
    event_name: str | None = None
    event_source: str | None = None
    aws_region: str | None = None
    source_ip_address: str | None = msgspec.field(default=None, name="sourceIPAddress")
    user_agent: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    request_id: str | None = msgspec.field(default=None, name="requestID")
    event_type: str | None = None
    event_version: str | None = None
    event_category: str | None = None
    api_version: str | None = None
    read_only: bool | None = None
    management_event: bool | None = None
    recipient_account_id: str | None = None
    shared_event_id: str | None = msgspec.field(default=None, name="sharedEventID")
    vpc_endpoint_id: str | None = None
    vpc_endpoint_account_id: str | None = None
    session_credential_from_console: str | None = None
    user_identity: UserIdentity | None = None
    tls_details: TlsDetails | None = None
    addendum: Addendum | None = None
    resources: list[Resource] | None = None
    request_parameters: Json = ABSENT
    response_elements: Json = ABSENT
    additional_event_data: Json = ABSENT
    service_event_details: Json = ABSENT
    edge_device_details: Json = ABSENT
    event_context: Json = ABSENT
    insight_details: Json = ABSENT
    annotation: Json = ABSENT
