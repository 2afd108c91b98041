"""Beam's runner for test streams, with what it lacks of Beam's model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct import watermark_manager
from apache_beam.runners.direct.evaluation_context import EvaluationContext
from apache_beam.runners.direct.watermark_manager import WatermarkManager
from apache_beam.transforms import userstate
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.utils.timestamp import Duration, Timestamp

_GRANULARITY = Duration(micros=1)


@contextlib.contextmanager
def direct_runner() -> Iterator[PipelineOptions]:
    """The runner that has test streams, with what it lacks of Beam's model.

    A timer holds the watermark until it has fired. And what a step's parameters are is asked once for a class, not for
    each bundle, which takes most of the time.
    """
    asked: dict[type, Any] = {}
    ask, refresh = userstate.get_dofn_specs, watermark_manager._TransformWatermarks.refresh
    handle_result = EvaluationContext.handle_result

    def ask_once(dofn: beam.DoFn) -> Any:
        kind = type(dofn)
        if kind not in asked:
            asked[kind] = ask(dofn)
        return asked[kind]

    def hold_and_refresh(marks: Any) -> bool:
        set_for = [at for state in marks._keyed_states.values() for at in _timers_of(state)]
        fired = [firing.timestamp for firing in marks._fired_timers if firing.name.startswith("user/")]
        earliest = min([*set_for, *fired], default=WatermarkManager.WATERMARK_POS_INF)
        held = earliest - _GRANULARITY if set_for or fired else earliest
        marks._keyed_earliest_holds["timers"] = max(held, marks._output_watermark)
        return bool(refresh(marks))

    def keep_and_handle_result(context: Any, bundle: Any, timers: Any, result: Any) -> Any:
        context._transform_keyed_states[result.transform].update(result.partial_keyed_state)
        return handle_result(context, bundle, timers, result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EvaluationContext, "handle_result", keep_and_handle_result)
        patch.setattr(userstate, "get_dofn_specs", ask_once)
        patch.setattr(watermark_manager._TransformWatermarks, "refresh", hold_and_refresh)
        yield PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"])


def _timers_of(state: Any) -> Iterator[Timestamp]:
    """The times of a key's own timers, not of its windows'."""
    for timers in state.timers.values():
        for (name, domain, _), at in timers.items():
            if name.startswith("user/") and domain == TimeDomain.WATERMARK:
                yield at
