"""Makes a canary's call: as which role, in which region, with which token, and what came back."""

from __future__ import annotations

import functools
import threading
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import botocore.session
import msgspec
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.emit_calls import CALLS, chance, outcome_of, parameters_of
from schemas.canaries import Canary, Emission, Place
from schemas.errors import SecretUnavailable
from schemas.receipts import Outcome, Receipt
from schemas.times import MINUTE_US, datetime_us
from transforms.canary_carriers import SESSION_NAME
from transforms.canary_tokens import token_of

SESSION = "trailcanary"
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=15,
    max_pool_connections=64,
    retries={"mode": "standard", "total_max_attempts": 3},
    user_agent_extra="trailcanary",
    s3={"addressing_style": "path", "us_east_1_regional_endpoint": "regional"},
)


class _Session(msgspec.Struct, frozen=True):
    """Credentials of an assumed role, and when they end."""

    credentials: ReadOnlyCredentials
    ends_us: int


class Sender:
    """Makes calls, from any number of threads. Clients are shared by accounts: one for each service and region.

    Sessions of roles are kept for as long as they last, but for those that carry a code in their name.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._own = botocore.session.Session()
        self._theirs = botocore.session.Session()
        self._now = threading.local()
        self._theirs.register_component("credential_provider", _Provider(_OfThread(self._now)))
        self._theirs.register("before-send", self._add_agent)
        self._clients = functools.cache(self._new_client)
        self._building = threading.Lock()
        self._sessions: dict[tuple[str, Emission], _Session] = {}
        self._assuming: defaultdict[tuple[str, Emission], threading.Lock] = defaultdict(threading.Lock)

    def send(self, canary: Canary, place: Place, slot: int) -> Receipt:
        """Make the call of a slot, and say what became of it; raises nothing that AWS or the network does."""
        emission = canary.emission
        assert emission is not None  # noqa: S101 - only such canaries are emitted
        at_us = self._clock()
        try:
            token = token_of(canary, place, slot, chance())
            code, request_id = self._call(canary, emission, place, token)
            outcome = outcome_of(code)
        except (ClientError, BotoCoreError, SecretUnavailable) as error:
            code, request_id, outcome = _reason(error), None, Outcome.FAILED
        return Receipt(place, slot, at_us, emission.call, outcome, code, request_id)

    def _call(self, canary: Canary, emission: Emission, place: Place, token: str) -> tuple[str | None, str | None]:
        """Error code and request id. Raises where the call could not be made."""
        carrier = canary.code.carrier if canary.code else None
        call = CALLS[emission.call]
        parameters = parameters_of(canary, place, self._partition(place.region), token)
        self._now.credentials = self._credentials(emission, place, token if carrier == SESSION_NAME else None)
        self._now.agent = token if carrier == "user_agent" else None
        client = self._client(call.service, place.region)
        try:
            answer = getattr(client, call.operation)(**parameters)
        except ClientError as error:
            answer = error.response
        metadata = answer.get("ResponseMetadata", {})
        request_id = metadata.get("RequestId") or metadata.get("HTTPHeaders", {}).get("x-amzn-requestid")
        return answer.get("Error", {}).get("Code"), request_id

    def _credentials(self, emission: Emission, place: Place, session_name: str | None) -> ReadOnlyCredentials:
        if emission.role is None:
            own = self._own.get_credentials()
            if own is None:
                raise _NoCredentials()
            return own.get_frozen_credentials()
        if session_name is not None:
            return self._assume(emission, place, session_name).credentials
        key = (place.account_id, emission)
        with self._assuming[key]:
            kept = self._sessions.get(key)
            if kept is None or kept.ends_us - self._clock() < 5 * MINUTE_US:
                kept = self._sessions[key] = self._assume(emission, place, SESSION)
            return kept.credentials

    def _assume(self, emission: Emission, place: Place, session_name: str) -> _Session:
        arn = f"arn:{self._partition(place.region)}:iam::{place.account_id}:role/{emission.role}"
        given = {} if emission.external_id is None else {"ExternalId": emission.external_id}
        client = self._client("sts", place.region, own=True)
        answer = client.assume_role(RoleArn=arn, RoleSessionName=session_name, DurationSeconds=3600, **given)
        keys = answer["Credentials"]
        frozen = ReadOnlyCredentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
        return _Session(frozen, datetime_us(keys["Expiration"]))

    def _partition(self, region: str) -> str:
        return str(self._own.get_partition_for_region(region))

    def _client(self, service: str, region: str, *, own: bool = False) -> Any:
        with self._building:  # botocore's sessions are for one thread, their clients for any
            return self._clients(service, region, own=own)

    def _new_client(self, service: str, region: str, *, own: bool) -> Any:
        session = self._own if own else self._theirs
        return session.create_client(service, region_name=region, config=_CONFIG)

    def _add_agent(self, **event: Any) -> None:
        """The user agent is not signed, and botocore makes it anew for each attempt."""
        agent, headers = getattr(self._now, "agent", None), event["request"].headers
        if agent is not None:
            headers["User-Agent"] = f"{_text(headers['User-Agent'])} {agent}"


class _NoCredentials(BotoCoreError):
    fmt = "NoCredentials"


class _OfThread(Credentials):
    """The credentials that the thread which signs has put down for its call."""

    def __init__(self, now: threading.local) -> None:
        super().__init__("-", "-")
        self._now_in = now

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Those of this thread."""
        frozen: ReadOnlyCredentials = self._now_in.credentials
        return frozen


class _Provider:
    """What botocore asks for credentials."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def load_credentials(self) -> Credentials:
        """Always the same, whoever they are of."""
        return self._credentials


def _text(header: str | bytes) -> str:
    return header.decode() if isinstance(header, bytes) else header


def _reason(error: ClientError | BotoCoreError | SecretUnavailable) -> str:
    """A code, or the name of what went wrong: texts of botocore's may name proxies and their passwords."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} {error.response.get('Error', {}).get('Code', 'unknown')}"
    return str(error) if isinstance(error, SecretUnavailable) else type(error).__name__.lstrip("_")
