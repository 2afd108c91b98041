"""The generated schema document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from pipeline import schema_docs
from schemas.archive import ARCHIVE_SCHEMA, RECORD_MEMBERS, Member, members_of
from schemas.column_docs import COLUMN_DOCS


def paths(members: Iterable[Member], parent: str = "") -> Iterator[str]:
    """Dotted names of all members, at any depth."""
    for member in members:
        yield parent + member.name
        if member.struct:
            yield from paths(members_of(member.struct), f"{parent}{member.name}.")


def test_every_column_is_explained() -> None:
    """The docs cover exactly the members of a record, each with a sentence and a version that is one."""
    assert set(COLUMN_DOCS) == set(paths(RECORD_MEMBERS))
    for about in COLUMN_DOCS.values():
        assert about.doc
        assert about.since == "" or about.since.startswith("1.")


def test_document_is_not_stale() -> None:
    """`docs/schema.md` is what the schemas say now; `python -m pipeline.schema_docs > docs/schema.md` renews it."""
    assert schema_docs.DOCUMENT.read_text("utf-8") == schema_docs.schema_markdown()


def test_document_names_everything() -> None:
    """Every archive column and every view is in it."""
    text = schema_docs.schema_markdown()
    for name in [*ARCHIVE_SCHEMA.names, "canary_slots", "delivery_lag", "rows_written", "body_sha256", "runbook"]:
        assert f"`{name}`" in text


def test_check_tells_stale_from_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without options the document is printed; `--check` passes on it, and fails on another or none."""
    document = tmp_path / "schema.md"
    monkeypatch.setattr(schema_docs, "DOCUMENT", document)
    assert schema_docs.main(["--check"]) == 1
    assert "is stale" in capsys.readouterr().err
    assert schema_docs.main([]) == 0
    document.write_text(capsys.readouterr().out, "utf-8")
    assert schema_docs.main(["--check"]) == 0
    document.write_text("old", "utf-8")
    assert schema_docs.main(["--check"]) == 1
