"""Attacks that leave no event, and faults that look like one: only canaries tell, or the objects themselves."""

from __future__ import annotations

from collections.abc import Mapping

from transforms.simulation.attack import Attack, Effect

SILENT_ATTACKS: Mapping[str, Attack] = {
    "silent": Attack("Everyone's deliveries end, without an event.", Effect.ALL_DELIVERIES),
    "silent-account": Attack("The account's deliveries end, without an event.", Effect.DELIVERIES),
    "drop-region": Attack("The account's deliveries from its last region end, without an event.", Effect.REGION),
    "drop-canary": Attack("The canary's events vanish from the account; everything else goes on.", Effect.CANARIES),
    "canary-allowed": Attack(
        "The account's canary calls would now succeed: Client.DryRunOperation instead of a refusal.", Effect.ALLOWED
    ),
    "forge-canary": Attack(
        "The account's canary is silenced, and somebody copies its calls without the secret of its codes.",
        Effect.FORGED,
    ),
    "replay-canary": Attack(
        "The account's canary is silenced, and somebody repeats its calls of an hour ago, old codes and all.",
        Effect.REPLAYED,
    ),
    "corrupt-objects": Attack("Every object of the account is cut short for 30 minutes.", Effect.TRUNCATED),
    "late-delivery": Attack("No attack: 30 minutes of the account's deliveries come 40 minutes late.", Effect.HELD),
}
