"""What is merged with what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.objects import EventFile
from transforms.compaction_plan import Part, Sizes, merged_days, plan_groups, plan_verdicts, small_files

SIZES = Sizes(file_bytes=100, part_bytes=40, group_bytes=200, group_part_bytes=80)


def part(name: str, size: int, *files: tuple[str, int], first_us: int = 0) -> Part:
    """A part of the ledger with archive files of some days and bytes."""
    event_files = tuple(EventFile(f"events/event_date={day}/{name}.parquet", 1, length) for day, length in files)
    return Part(f"objects/{name}.parquet", size, first_us, event_files)


def names(*parts: Part) -> list[list[str]]:
    """The groups that are planned."""
    return [[each.path[8:-8] for each in group] for group in plan_groups(parts, SIZES)]


def test_small_parts_are_merged_in_order_of_delivery() -> None:
    """Large ones are not, nor is one alone."""
    assert names(part("a", 5, first_us=2), part("b", 5, first_us=1), part("c", 30)) == [["b", "a"]]
    assert names(part("a", 5), part("c", 30)) == []


def test_groups_are_bounded() -> None:
    """By bytes of small archive files, and by bytes of the ledger; large archive files weigh nothing."""
    assert names(*(part(str(n), 1, ("d", 40)) for n in range(8))) == [list("01234"), list("567")]
    assert names(*(part(str(n), 19) for n in range(6))) == [list("0123"), list("45")]
    assert names(*(part(str(n), 1, ("d", 900)) for n in range(4))) == [list("0123")]


def test_small_files_of_large_parts() -> None:
    """They are merged once a day has enough for a file."""
    assert names(part("a", 30, ("d", 20)), part("b", 30, ("d", 20))) == []
    assert names(part("a", 30, ("d", 25)), part("b", 30, ("d", 25))) == [["a", "b"]]
    assert names(part("a", 30, ("d", 25)), part("b", 30, ("e", 49))) == []


def test_a_file_alone_on_its_day_stays() -> None:
    """So does a large one."""
    group = (part("a", 1, ("d", 5), ("e", 5)), part("b", 1, ("d", 5), ("f", 90)))
    merged = merged_days(group, SIZES)
    assert [[file.path for file in day] for day in merged] == [
        ["events/event_date=d/a.parquet", "events/event_date=d/b.parquet"]
    ]


def test_verdicts() -> None:
    """Small files of verdicts are merged, a group at a time."""
    assert plan_verdicts({"b": 10, "a": 10, "c": 30, "d": 15, "e": 15, "f": 1}, SIZES) == [("a", "b", "d"), ("e", "f")]
    assert plan_verdicts({"a": 10}, SIZES) == []


@given(st.lists(st.tuples(st.integers(1, 45), st.lists(st.tuples(st.sampled_from("de"), st.integers(1, 120))))))
def test_no_part_is_in_two_groups(world: list[tuple[int, list[tuple[str, int]]]]) -> None:
    """Each group merges something, keeps its bounds, and shares nothing with another."""
    parts = [part(str(n), size, *dict(files).items(), first_us=n % 3) for n, (size, files) in enumerate(world)]
    groups = plan_groups(parts, SIZES)
    merged = [each.path for group in groups for each in group]
    assert len(merged) == len(set(merged))
    for group in groups:
        assert len(group) > 1
        assert sum(file.bytes for file in small_files(group, SIZES)) <= SIZES.group_bytes
        assert sum(each.bytes for each in group) <= SIZES.group_part_bytes
