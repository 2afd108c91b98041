"""What each member of a record means, in our own words, and the eventVersion that brought it.

Source: AWS CloudTrail user guide, "CloudTrail record contents" and "CloudTrail userIdentity element". That guide
gives no version for members of userIdentity, nor for a few that came unannounced.
"""

from __future__ import annotations

import msgspec


class ColumnDoc(msgspec.Struct, frozen=True):
    """The first eventVersion with a member, empty where AWS names none, and a sentence on it."""

    since: str
    doc: str


_RECORD = {
    "event_time": ColumnDoc("1.0", "when the request was completed, by the clock of the service's host"),
    "event_id": ColumnDoc("1.01", "GUID that CloudTrail gives the event; copies of an event usually share it"),
    "event_name": ColumnDoc("1.0", "the API action, such as `StopLogging`"),
    "event_source": ColumnDoc("1.0", "the service that was called, such as `ec2.amazonaws.com`"),
    "aws_region": ColumnDoc("1.0", "the region that the request was made to"),
    "source_ip_address": ColumnDoc(
        "1.0", "where the request came from: an address, a service's name or `AWS Internal`"
    ),
    "user_agent": ColumnDoc("1.0", "the client program as it names itself; cut at 1 KB"),
    "error_code": ColumnDoc("1.0", "why the call was refused or failed; null for success. Not always the SDK's code"),
    "error_message": ColumnDoc("1.0", "the error in words, which change over time; cut at 1 KB"),
    "request_id": ColumnDoc("1.01", "the service's id of the request; null for service and console events"),
    "event_type": ColumnDoc("1.02", "`AwsApiCall`, `AwsServiceEvent`, `AwsConsoleAction`, `AwsConsoleSignIn`, …"),
    "event_version": ColumnDoc(
        "1.0", "version of the record format, such as `1.08`; compare the minor part as a number"
    ),
    "event_category": ColumnDoc("1.07", "`Management`, `Data`, `NetworkActivity` or `Insight`"),
    "api_version": ColumnDoc("1.01", "version of the service's API that was called"),
    "read_only": ColumnDoc("1.01", "true where the call changes nothing; true for `AssumeRole` and `Decrypt` as well"),
    "management_event": ColumnDoc("1.06", "true for management events"),
    "recipient_account_id": ColumnDoc("1.02", "the account that got the event: not the caller's, across accounts"),
    "shared_event_id": ColumnDoc("1.03", "the same GUID in every account that got a copy of one action"),
    "vpc_endpoint_id": ColumnDoc("1.04", "the VPC endpoint that the request passed"),
    "vpc_endpoint_account_id": ColumnDoc("1.09", "the account that owns that endpoint"),
    "session_credential_from_console": ColumnDoc("1.08", "the text `true` where a console session made the call"),
    "user_identity": ColumnDoc("1.0", "who called"),
    "tls_details": ColumnDoc("1.08", "the connection's encryption; null for calls that services make"),
    "addendum": ColumnDoc("1.08", "why this record came late, or again"),
    "resources": ColumnDoc("1.01", "what was touched, where the service says so"),
    "request_parameters": ColumnDoc("1.0", "the call's parameters; null for many refused calls, left out above 100 KB"),
    "response_elements": ColumnDoc("1.0", "the call's answer; null where it only reads, left out above 100 KB"),
    "additional_event_data": ColumnDoc("1.0", "what is part of neither request nor answer; left out above 28 KB"),
    "service_event_details": ColumnDoc("1.05", "what made a service act by itself, and with what result"),
    "edge_device_details": ColumnDoc("1.08", "the edge device that was the target"),
    "event_context": ColumnDoc("1.11", "tags and request conditions; CloudTrail Lake only, never in a trail"),
    "insight_details": ColumnDoc("1.07", "for Insight events: the unusual rate of calls or errors, and its baseline"),
    "annotation": ColumnDoc("", "named by AWS's tools, not documented"),
}
_USER_IDENTITY = {
    "type": ColumnDoc("", "`IAMUser`, `AssumedRole`, `Root`, `AWSService`, …; null for some service events"),
    "user_name": ColumnDoc("", "the friendly name; hidden where a sign-in failed for a wrong one"),
    "principal_id": ColumnDoc("", "the unique id; for roles `ID:session`"),
    "arn": ColumnDoc("", "ARN of who called; for roles that of the session"),
    "account_id": ColumnDoc("", "the account that the caller belongs to"),
    "access_key_id": ColumnDoc("", "the key that signed the request; may be empty"),
    "session_context": ColumnDoc("", "for temporary credentials: how they came about"),
    "invoked_by": ColumnDoc("", "the service that made the call for the caller"),
    "invoked_by_delegate": ColumnDoc("", "the account of a provider that acts for the caller"),
    "identity_provider": ColumnDoc("", "the external provider, for SAML and web identities"),
    "credential_id": ColumnDoc("", "id of a bearer token's credential"),
    "on_behalf_of": ColumnDoc("", "the Identity Center user that the call is made for"),
    "in_scope_of": ColumnDoc("", "the resource that credentials were issued to, such as a function"),
}
_SESSION_CONTEXT = {
    "session_issuer": ColumnDoc("", "the role or user that issued the credentials; `{}` is common"),
    "session_issuer.type": ColumnDoc("", "`Role`, `IAMUser` or `Root`"),
    "session_issuer.user_name": ColumnDoc("", "its friendly name"),
    "session_issuer.principal_id": ColumnDoc("", "its unique id"),
    "session_issuer.arn": ColumnDoc("", "its ARN: the role behind the session"),
    "session_issuer.account_id": ColumnDoc("", "its account"),
    "web_id_federation_data": ColumnDoc("", "the provider and attributes of a web identity"),
    "attributes": ColumnDoc("", "of the session"),
    "attributes.creation_date": ColumnDoc("", "when the credentials were issued"),
    "attributes.mfa_authenticated": ColumnDoc("", "the text `true` or `false`"),
    "source_identity": ColumnDoc("", "the name that was set when the first role of a chain was assumed"),
    "ec2_role_delivery": ColumnDoc("", "`1.0` or `2.0`: which instance metadata service gave the credentials"),
    "assumed_root": ColumnDoc("", "the text `true` for a root session of a member account"),
    "sign_in_session_arn": ColumnDoc("", "the sign-in session behind the credentials"),
}
_TLS_DETAILS = {
    "tls_version": ColumnDoc("1.08", "such as `TLSv1.3`"),
    "cipher_suite": ColumnDoc("1.08", "the cipher that was agreed on"),
    "client_provided_host_header": ColumnDoc("1.08", "the host name that the client asked for"),
    "key_exchange": ColumnDoc("", "the key exchange that was agreed on"),
}
_ADDENDUM = {
    "reason": ColumnDoc("1.08", "`DELIVERY_DELAY`, `UPDATED_DATA` or `SERVICE_OUTAGE`"),
    "updated_fields": ColumnDoc("1.08", "which members this record corrects"),
    "original_request_id": ColumnDoc("1.08", "request id of the record that it corrects"),
    "original_event_id": ColumnDoc("1.08", "event id of the record that it corrects"),
}
_RESOURCES = {
    "arn": ColumnDoc("1.01", "the resource's ARN"),
    "arn_prefix": ColumnDoc("1.01", "the beginning of an ARN, where many resources are meant"),
    "account_id": ColumnDoc("1.01", "the account that owns it"),
    "type": ColumnDoc("1.01", "its type, such as `AWS::S3::Object`"),
}


def _below(parent: str, docs: dict[str, ColumnDoc]) -> dict[str, ColumnDoc]:
    return {f"{parent}.{name}": doc for name, doc in docs.items()}


COLUMN_DOCS: dict[str, ColumnDoc] = {
    **_RECORD,
    **_below("user_identity", _USER_IDENTITY),
    **_below("user_identity.session_context", _SESSION_CONTEXT),
    **_below("tls_details", _TLS_DETAILS),
    **_below("addendum", _ADDENDUM),
    **_below("resources", _RESOURCES),
}
"""By column, dotted for members of structs."""
