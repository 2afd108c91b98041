"""Templates: a record's JSON with tokens, compiled so that one `%` fills in everything that varies.

Tokens in a call's JSON: `<hex:8>`, `<num:3>`, `<base32:16>`, `<base64:76>` draw that many characters, `<uuid>` a
GUID, and `<hex:8#key>` the same characters wherever that label stands. `<account>` is the recording account;
`<region>`, `<bucket>`, … are names that the compiler is given.
"""

from __future__ import annotations

import operator
import random
import re
import string
from collections.abc import Callable, Iterable, Mapping

import msgspec

_ACCOUNT = "account"
_ACCOUNT_CHARS = 12
_ALPHABETS = {
    "hex": "0123456789abcdef",
    "num": string.digits,
    "base32": string.ascii_uppercase + "234567",
    "base64": string.ascii_letters + string.digits + "+/",
}
_TABLES = {
    name: bytes(ord(letters[byte % len(letters)]) for byte in range(256)) for name, letters in _ALPHABETS.items()
}
_TOKEN = re.compile(rf"<(hex|num|base32|base64|{_ACCOUNT})(?::(\d+)(?:#(\w+))?)?>")
_UUID = re.compile(r"<uuid(?:#(\w+))?>")
_NAME = re.compile(r"<([a-z_]+)>")


class Call(msgspec.Struct, frozen=True):
    """One kind of event: `weight` is its share, `caller` the class of identities that make it.

    `parameters`, `response`, `resources`, `additional` are JSON with tokens; `rest` is more members as JSON text;
    `error` is code and message. `where` narrows the places: `us-east-1` for global services, `security` for the
    home region of the account that owns the bucket.
    """

    service: str
    name: str
    weight: float = 0
    caller: str = "role"
    parameters: str = "null"
    response: str = "null"
    resources: str = ""
    additional: str = ""
    rest: str = ""
    error: tuple[str, str] | None = None
    read: bool = False
    data: bool = False
    event_type: str = "AwsApiCall"
    version: str = "1.10"
    api_version: str = ""
    host: str = ""
    where: str = ""


class Template(msgspec.Struct, frozen=True):
    """A call compiled: text with `%s` for identity, time, address, agent, and then for the drawn pieces.

    `bounds` are the ends of the four alphabets in one run of random characters; `pieces` cuts up account and run.
    """

    call: Call
    text: str
    bounds: tuple[int, ...]
    pieces: Callable[[str], tuple[str, ...]]


def record_json(call: Call) -> str:
    """The whole record of a call as JSON with tokens and four `%s`, members in AWS's order."""
    members = (
        ("errorCode", f'"{call.error[0]}"' if call.error else ""),
        ("errorMessage", f'"{call.error[1]}"' if call.error and call.error[1] else ""),
        ("requestParameters", call.parameters),
        ("responseElements", call.response),
        ("additionalEventData", call.additional),
        ("requestID", _request_id(call)),
        ("eventID", '"<uuid>"'),
        ("readOnly", "true" if call.read else "false"),
        ("resources", call.resources),
        ("eventType", f'"{call.event_type}"'),
        ("apiVersion", f'"{call.api_version}"' if call.api_version else ""),
        ("managementEvent", "false" if call.data else "true"),
        ("recipientAccountId", '"<account>"'),
        ("eventCategory", '"Data"' if call.data else '"Management"'),
        ("tlsDetails", _tls_details(call)),
    )
    head = (
        f'{{"eventVersion":"{call.version}","userIdentity":\0,"eventTime":"\0",'
        f'"eventSource":"{call.service}.amazonaws.com","eventName":"{call.name}","awsRegion":"<region>",'
        f'"sourceIPAddress":"\0","userAgent":"\0",'
    )
    tail = ",".join(f'"{name}":{value}' for name, value in members if value) + call.rest
    return (head + tail + "}").replace("%", "%%").replace("\0", "%s")


def compile_call(call: Call, names: Mapping[str, str]) -> Template:
    """Put `names` in and replace every other token by `%s`."""
    text = _NAME.sub(lambda match: names.get(match[1], match[0]), record_json(call))
    text = _UUID.sub(lambda match: _uuid_tokens(match[1] or f"at{match.start()}"), text)
    tokens = [(match[1], int(match[2] or 0), match[3] or index) for index, match in enumerate(_TOKEN.finditer(text))]
    starts: dict[object, int] = {}
    bounds, end = [], _ACCOUNT_CHARS
    for alphabet in _ALPHABETS:
        for token in tokens:
            if token[0] == alphabet and token not in starts:
                starts[token] = end
                end += token[1]
        bounds.append(end - _ACCOUNT_CHARS)
    cuts = [
        slice(0, _ACCOUNT_CHARS) if token[0] == _ACCOUNT else slice(starts[token], starts[token] + token[1])
        for token in tokens
    ]
    return Template(call, _TOKEN.sub("%s", text), tuple(bounds), operator.itemgetter(*cuts))


def _request_id(call: Call) -> str:
    if call.event_type != "AwsApiCall":
        return ""
    return '"<base32:16>"' if call.service == "s3" else '"<uuid>"'


def _tls_details(call: Call) -> str:
    """AWS leaves tlsDetails out of calls that a service makes."""
    if call.caller not in ("role", "user", "root", "canary") or call.event_type != "AwsApiCall":
        return ""
    host = call.host or f"{call.service}.<region>.amazonaws.com"
    return '{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"' + host + '"}'


def _uuid_tokens(label: str) -> str:
    lengths = (("", 8), ("-", 4), ("-4", 3), ("-a", 3), ("-", 12))
    return "".join(f"{before}<hex:{length}#{label}_{part}>" for part, (before, length) in enumerate(lengths))


class Draws:
    """Random characters for many records: one block of random bytes, read in four alphabets."""

    def __init__(self, rng: random.Random, templates: Iterable[Template]) -> None:
        block = rng.randbytes(sum(template.bounds[-1] for template in templates))
        self._texts = [block.translate(table).decode("ascii") for table in _TABLES.values()]
        self._next = 0

    def take(self, template: Template, account: str) -> tuple[str, ...]:
        """The account and the next random characters, cut to the pieces that `template` asks for."""
        hexadecimal, num, base32, base64 = self._texts
        a, (b, c, d, e) = self._next, (self._next + bound for bound in template.bounds)
        self._next = e
        return template.pieces(account + hexadecimal[a:b] + num[b:c] + base32[c:d] + base64[d:e])
