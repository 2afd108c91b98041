"""Records: the JSON of the events that an account and region deliver at a mark."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from schemas.times import DAY_US, HOUR_US, SECOND_US
from transforms.simulation.administration import administration_in, is_throttled
from transforms.simulation.canary import (
    CANARY_ALLOWED_CALL,
    CANARY_CALL,
    CANARY_THROTTLED_CALL,
    canary_caller,
    canary_code,
    canary_moment,
)
from transforms.simulation.compute_calls import COMPUTE_CALLS
from transforms.simulation.identities import Caller, address, assumed_role, callers_of
from transforms.simulation.identity_calls import IDENTITY_CALLS
from transforms.simulation.operations_calls import OPERATIONS_CALLS
from transforms.simulation.scenario import BUCKET, INTERVAL_US, READER_ROLE, SECURITY_ACCOUNT, TRAIL, Scenario
from transforms.simulation.schedule import Activity, Part, second_of, second_texts
from transforms.simulation.storage_calls import STORAGE_CALLS
from transforms.simulation.template import Call, Draws, Template, compile_call
from transforms.simulation.timeline import Timeline, Voice

_CALLS = (*STORAGE_CALLS, *COMPUTE_CALLS, *IDENTITY_CALLS, *OPERATIONS_CALLS)
_ADMINISTRATORS_AGENT = (
    "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 (+https://www.terraform.io) terraform-provider-aws/5.77.0"
)
_ATTACKERS_AGENT = "aws-cli/2.22.7 md/awscrt#0.22.0 ua/2.0 os/linux#6.11 lang/python#3.12.6 command#cloudtrail"


class _Mix(msgspec.Struct, frozen=True):
    """What happens at a kind of place: templates, and the running sum of their weights."""

    templates: Sequence[Template]
    cumulative: Sequence[float]


class Recorder:
    """Makes the records of a scenario. Each interval of a place has its own random numbers: any can be made alone."""

    def __init__(self, scenario: Scenario, timeline: Timeline) -> None:
        self._scenario = scenario
        self._timeline = timeline
        self._activity = Activity(scenario)
        self._intervals = scenario.intervals
        self._callers = functools.lru_cache(maxsize=1024)(functools.partial(callers_of, scenario))
        self._names = functools.cache(self._region_names)
        self._mix = functools.cache(self._mix_at)
        self._compiled = functools.cache(self._compile)

    def records_at(self, account: str, region: str, mark: int) -> list[str]:
        """The records delivered at `mark`, unsorted as CloudTrail's are."""
        records: list[str] = []
        for part in Part:
            interval = mark - part.value
            if interval in self._intervals:
                records += self._background(account, region, interval, part)
                records += self._canary(account, region, interval, part)
        if mark - 1 in self._intervals:
            records += self._attack(account, region, mark - 1)
            records += self._administration(account, region, mark - 1)
        return records

    def _background(self, account: str, region: str, interval: int, part: Part) -> Iterator[str]:
        rng = self._scenario.rng("events", account, region, interval, part.name)
        mix = self._mix(region, account == SECURITY_ACCOUNT)
        count = self._activity.events(rng, account, region, part)
        templates = rng.choices(mix.templates, cum_weights=mix.cumulative, k=count)
        draws = Draws(rng, templates)
        callers = self._callers(account, interval * INTERVAL_US // HOUR_US)
        lost, times, uniform = self._timeline.lost_in(account, interval), second_texts(interval), rng.random
        for template in templates:
            second, pieces = second_of(rng, part), draws.take(template, account)
            choices = callers[template.call.caller]
            caller = choices[int(uniform() * len(choices))]
            if lost is None or not lost(template.call, second):
                yield template.text % (caller.identity, times[second], caller.address, caller.agent, *pieces)

    def _canary(self, account: str, region: str, interval: int, part: Part) -> Iterator[str]:
        second, delivered_in = canary_moment(self._scenario, account, region, interval)
        if delivered_in is not part:
            return
        voice = self._timeline.canary_voice(account, interval, second)
        call = CANARY_ALLOWED_CALL if voice is Voice.ALLOWED else CANARY_CALL
        lost = self._timeline.lost_in(account, interval)
        if lost is None or not lost(call, second):
            if is_throttled(self._scenario, account, interval):
                yield self._canary_event(CANARY_THROTTLED_CALL, account, region, (interval, second), voice)
            yield self._canary_event(call, account, region, (interval, second), voice)

    def _canary_event(self, call: Call, account: str, region: str, moment: tuple[int, int], voice: Voice) -> str:
        interval, second = moment
        what = "throttled canary" if call is CANARY_THROTTLED_CALL else "canary event"
        rng = self._scenario.rng(what, account, region, interval)
        caller = canary_caller(self._scenario, account, region, interval)
        text = self._fill(rng, self._compiled(call, region), account, caller, second_texts(interval)[second])
        return text.replace("<code>", canary_code(self._scenario, account, region, interval, voice))

    def _attack(self, account: str, region: str, interval: int) -> Iterator[str]:
        for call, second in self._timeline.calls_in(account, region, interval):
            rng = self._scenario.rng("attack", call.service, call.name, account, interval)
            identity = assumed_role(rng, account, "admin", "mallory", interval * INTERVAL_US)
            caller = Caller(identity, address(rng), _ATTACKERS_AGENT)
            yield self._fill(rng, self._compiled(call, region), account, caller, second_texts(interval)[second])

    def _administration(self, account: str, region: str, interval: int) -> Iterator[str]:
        rng = self._scenario.rng("administration", account, interval)
        identity = assumed_role(rng, account, "platform-deploy", "terraform", interval * INTERVAL_US)
        caller = Caller(identity, address(rng), _ADMINISTRATORS_AGENT)
        for call, second in administration_in(self._scenario, account, region, interval):
            yield self._fill(rng, self._compiled(call, region), account, caller, second_texts(interval)[second])

    @staticmethod
    def _fill(rng: random.Random, template: Template, account: str, caller: Caller, time: str) -> str:
        pieces = Draws(rng, [template]).take(template, account)
        return template.text % (caller.identity, time, caller.address, caller.agent, *pieces)

    def _mix_at(self, region: str, owner: bool) -> _Mix:  # noqa: FBT001 - the key of a cache
        places = {"": True, "us-east-1": region == "us-east-1"}
        places["security"] = owner and region == self._scenario.home_region
        calls = [call for call in _CALLS if places[call.where]]
        weights = itertools.accumulate(call.weight for call in calls)
        return _Mix([self._compiled(call, region) for call in calls], list(weights))

    def _compile(self, call: Call, region: str) -> Template:
        return compile_call(call, self._names(region))

    def _region_names(self, region: str) -> Mapping[str, str]:
        scenario, attacked_us = self._scenario, (self._timeline.interval + 1) * INTERVAL_US
        return {
            "region": region,
            "last_region": scenario.regions[-1],
            "organisation": scenario.organisation,
            "management": scenario.members[0],
            "security": SECURITY_ACCOUNT,
            "victim": scenario.victim,
            "bucket": BUCKET,
            "trail": TRAIL,
            "trail_arn": scenario.trail_arn,
            "kms_key": scenario.kms_key_arn,
            "topic": scenario.topic_arn,
            "queue_url": scenario.queue_url,
            "reader_role": READER_ROLE,
            "in_two_days": _as_kms_writes(attacked_us + 2 * DAY_US),
            "in_a_week": _as_kms_writes(attacked_us + 7 * DAY_US),
        }


def _as_kms_writes(us: int) -> str:
    """A date in the locale of the service's host: `Nov 8, 2026, 2:25:00 PM`."""
    date = dt.datetime.fromtimestamp(us // SECOND_US, dt.UTC)
    return f"{date:%b} {date.day}, {date:%Y}, {date.hour % 12 or 12}:{date:%M:%S %p}"
