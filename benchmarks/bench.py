"""The job against DuckDB's JSON reader and against its own limit, on the same files, in one process.

    python -m benchmarks.bench [--input FOLDER] [--events N] [--repeat N]

For each set of files, medians of:
- job: `trailcanary run` as a whole (listing, graph, archive, all rules, ledger, alerts, sheet), one worker;
- duckdb: `read_json` with typed columns to a zstd Parquet file, one thread;
- limit: gunzip, split and decode, and writing the finished rows as Parquet: nothing else, one thread. The rows come
  for nothing: who writes Parquet has to build columns first.
- straight through: gunzip, decode into the archive's columns and write them as Parquet, object by object: no hash, no
  order, no copies dropped, no canaries, no rules, no ledger.
Then the job with two workers and under Beam's own multi_processing, and DuckDB with two threads.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.beam_arguments import beam_arguments
from pipeline.clock import now_us
from pipeline.run import new_run_id, run
from pipeline.simulate import write_simulation
from pipeline.storages import open_storage
from pipeline.views import duckdb_type, literal
from schemas.archive import RECORD_MEMBERS, Member, members_of
from schemas.settings import Clock, Settings
from schemas.times import SECOND_US, parse_iso_us
from transforms.columns import BATCH_ROWS, flat_batch, nest
from transforms.event_files import COMPRESSION_LEVEL, DICTIONARY, STATISTICS
from transforms.inflate import inflate
from transforms.parse import Parsed, parse_fast, parse_tolerant
from transforms.simulation import Scenario
from transforms.sorted_runs import CHUNK_BYTES

_MULTI_PROCESSING = ["--direct_num_workers=2", "--direct_running_mode=multi_processing"]


def main() -> None:
    """Measure each set of files and print a table for it."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="trailcanary-bench-") as scratch:
        for name, folder in _data_sets(arguments, Path(scratch)):
            _measure(name, folder, Path(scratch) / "out", arguments.repeat)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", action="append", default=[], type=Path, help="a folder of real CloudTrail objects")
    parser.add_argument("--events", type=int, default=400_000, help="events in each generated set (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, of which the median counts (%(default)s)")
    return parser.parse_args()


def _data_sets(arguments: argparse.Namespace, scratch: Path) -> list[tuple[str, Path]]:
    sets = [(f"real: {folder.name}", folder) for folder in arguments.input if folder.is_dir()]
    shapes = {
        "generated, large objects": (1, ("us-east-1",), 1.0),
        "generated, small objects": (8, ("us-east-1", "eu-west-1"), 24.0),
    }
    for name, (accounts, regions, hours) in shapes.items():
        folder = scratch / name.replace(" ", "-")
        start_us = parse_iso_us("2026-11-01T00:00:00Z")
        scenario = Scenario(1, start_us, hours, accounts, regions, int(arguments.events / hours), ())
        with (scratch / "simulate.log").open("w") as log:
            write_simulation(open_storage(str(folder)), scenario, log)
        sets.append((name, folder))
    return sets


def _measure(name: str, folder: Path, out: Path, repeat: int) -> None:
    files = sorted(folder.rglob("*_CloudTrail_*.json.gz"))
    events, seconds = 0, {}
    for label, work in _contenders(folder, files, _finished(folder, out), out).items():
        times = []
        for _ in range(repeat):
            shutil.rmtree(out, ignore_errors=True)
            gc.collect()
            gc.disable()  # as the job does while it decodes
            started_us = now_us()
            events = max(events, work())
            times.append((now_us() - started_us) / SECOND_US)
            gc.enable()
        seconds[label] = statistics.median(times)
    size = sum(file.stat().st_size for file in files)
    print(
        f"\n{name}: {len(files):,} objects, {size / 1e6:.1f} MB gzip, {events:,} events; medians of {repeat}",
        flush=True,
    )
    for label, taken in seconds.items():
        against = seconds["duckdb, 2 threads" if "2" in label else "duckdb"] / taken
        of_limit, of_straight = seconds["limit"] / taken, seconds["straight through"] / taken
        rate = f"{taken:7.2f} s {events / taken:10,.0f} events/s"
        shares = f"{of_limit:5.0%} of the limit {of_straight:5.0%} of straight through"
        print(f"  {label:<30} {rate}  {against:5.1f} × duckdb  {shares}", flush=True)


def _contenders(folder: Path, files: list[Path], finished: pa.Table, out: Path) -> dict[str, Callable[[], int]]:
    return {
        "job": lambda: _job(folder, out, workers=1),
        "duckdb": lambda: _duckdb(files, out, threads=1),
        "limit": lambda: _limit(files, finished, out),
        "straight through": lambda: _straight_through(files, out),
        "job, 2 workers": lambda: _job(folder, out, workers=2),
        "job, multi_processing with 2": lambda: _job(folder, out, workers=1, options=_MULTI_PROCESSING),
        "duckdb, 2 threads": lambda: _duckdb(files, out, threads=2),
    }


def _job(folder: Path, out: Path, workers: int, options: list[str] | None = None) -> int:
    started_us = now_us()
    beam, _ = beam_arguments(options or [])
    settings = Settings(
        new_run_id(started_us), (str(folder),), str(out), Clock(started_us, started_us), workers=workers
    )
    return run(settings, beam).report.balance.records_read


def _duckdb(files: list[Path], out: Path, threads: int) -> int:
    out.mkdir(parents=True)
    members = ", ".join(f'"{member.vendor_name}" {_json_type(member)}' for member in RECORD_MEMBERS)
    names = "[" + ", ".join(literal(str(file)) for file in files) + "]"
    query = f"""
        COPY (
            SELECT unnest(Records, max_depth := 2)
            FROM read_json({names}, columns = {{Records: 'STRUCT({members})[]'}}, maximum_object_size = 268435456)
        ) TO {literal(str(out / "duckdb.parquet"))} (FORMAT parquet, COMPRESSION zstd)
    """
    with duckdb.connect(config={"threads": threads}) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _json_type(member: Member) -> str:
    if member.name == "event_time":
        return "TIMESTAMP"
    if member.json:
        return "JSON"
    if member.struct is None:
        return str(duckdb_type(member.arrow))
    inner = ", ".join(f'"{each.vendor_name}" {_json_type(each)}' for each in members_of(member.struct))
    return f"STRUCT({inner})" + ("[]" if pa.types.is_list(member.arrow) else "")


def _limit(files: list[Path], finished: pa.Table, out: Path) -> int:
    out.mkdir(parents=True)
    records = 0
    for file in files:
        parsed = parse_fast(inflate(file.read_bytes(), 1 << 30))
        records += parsed.count if parsed else 0
    pq.write_table(finished, out / "limit.parquet", compression="zstd", compression_level=COMPRESSION_LEVEL)
    return records


def _straight_through(files: list[Path], out: Path) -> int:
    out.mkdir(parents=True)
    records, writer = 0, None
    for batches in _chunks(files):
        rows = nest(pa.Table.from_batches(batches))
        writer = writer or pq.ParquetWriter(
            out / "straight.parquet",
            rows.schema,
            compression="zstd",
            compression_level=COMPRESSION_LEVEL,
            use_dictionary=DICTIONARY,
            write_statistics=STATISTICS,
        )
        writer.write_table(rows, row_group_size=rows.num_rows)
        records += rows.num_rows
    if writer:
        writer.close()
    return records


def _chunks(files: list[Path]) -> Iterator[list[pa.RecordBatch]]:
    """Flat batches, as many at a time as the job puts into a row group."""
    batches: list[pa.RecordBatch] = []
    parts: list[tuple[int, Parsed]] = []
    rows, held = 0, 0
    for file in files:
        body = inflate(file.read_bytes(), 1 << 30)
        parts.append((0, parse_fast(body) or parse_tolerant(body)))
        rows, held = rows + parts[-1][1].count, held + len(body)
        if rows >= BATCH_ROWS:
            batches.append(flat_batch(parts))
            parts, rows = [], 0
        if held >= CHUNK_BYTES and batches:
            yield batches
            batches, held = [], 0
    yield [*batches, flat_batch(parts)]


def _finished(folder: Path, out: Path) -> pa.Table:
    """The rows as the job archives them; running it once also warms everything up."""
    shutil.rmtree(out, ignore_errors=True)
    _job(folder, out, workers=1)
    return pa.concat_tables(pq.ParquetFile(file).read() for file in sorted(out.glob("events/*/*.parquet")))


if __name__ == "__main__":
    main()
