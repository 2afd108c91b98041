"""A CloudTrail made up from a seed: an organisation's log bucket, its canaries, and attacks on it."""

from __future__ import annotations

from transforms.simulation.attack import Attack as Attack
from transforms.simulation.attacks import ATTACKS as ATTACKS
from transforms.simulation.bucket import simulate as simulate
from transforms.simulation.canary import SECRET_NAME as SECRET_NAME
from transforms.simulation.canary import canary_config as canary_config
from transforms.simulation.canary import canary_secret as canary_secret
from transforms.simulation.objects import SimulatedObject as SimulatedObject
from transforms.simulation.scenario import Scenario as Scenario
