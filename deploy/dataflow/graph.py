"""What must be in the graph that Dataflow is handed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2, standard_window_fns_pb2
from apache_beam.utils import proto_utils

from schemas.times import MINUTE_US, SECOND_US

REQUIREMENTS = (
    common_urns.requirements.REQUIRES_SPLITTABLE_DOFN.urn,
    common_urns.requirements.REQUIRES_STATEFUL_PROCESSING.urn,
)
STATES = ("account", "memories", "pulses", "raised", "sum", "waiting")
TIMERS = ("ts-due", "ts-over")


def graph_problems(graph: Any, allowed_lateness_us: int) -> Iterator[str]:
    """What a pipeline's proto lacks of the source without an end, its states, its timers and its windows."""
    yield from (f"the graph does not require {urn}" for urn in REQUIREMENTS if urn not in graph.requirements)
    steps = _steps(graph)
    states = {name for step in steps.values() for name in step.state_specs}
    yield from (f"no step keeps the state {name!r}" for name in STATES if name not in states)
    timers = {name for step in steps.values() for name in step.timer_family_specs}
    yield from (f"no step sets the timer {name!r}" for name in TIMERS if name not in timers)
    if not any(step.restriction_coder_id and _is_unbounded(graph, name) for name, step in steps.items()):
        yield "no splittable step gives out elements without an end"
    if (MINUTE_US, allowed_lateness_us) not in set(_fixed_windows(graph)):
        yield f"no windows of {MINUTE_US} µs with a lateness of {allowed_lateness_us} µs"


def _steps(graph: Any) -> dict[str, Any]:
    """The DoFns, by their ids."""
    urn = common_urns.primitives.PAR_DO.urn
    return {
        name: proto_utils.parse_Bytes(step.spec.payload, beam_runner_api_pb2.ParDoPayload)
        for name, step in graph.components.transforms.items()
        if step.spec.urn == urn
    }


def _is_unbounded(graph: Any, name: str) -> bool:
    outputs = graph.components.transforms[name].outputs.values()
    kinds = [graph.components.pcollections[output].is_bounded for output in outputs]
    return all(kind == beam_runner_api_pb2.IsBounded.UNBOUNDED for kind in kinds) and bool(kinds)


def _fixed_windows(graph: Any) -> Iterator[tuple[int, int]]:
    """Sizes and allowed latenesses."""
    for strategy in graph.components.windowing_strategies.values():
        if strategy.window_fn.urn == common_urns.fixed_windows.urn:
            window = standard_window_fns_pb2.FixedWindowsPayload.FromString(strategy.window_fn.payload)
            size_us = window.size.seconds * SECOND_US + window.size.nanos // 1000
            yield size_us, strategy.allowed_lateness * 1000
