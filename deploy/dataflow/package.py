"""What must be in the package that Dataflow's workers install."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apache_beam.portability.api import beam_runner_api_pb2

ROOT = Path(__file__).parent.parent.parent
FLOORS = ("schemas", "transforms", "pipeline")
SUFFIXES = {".py", ".yml", ".sql"}


def staged_package(graph: Any) -> Path | None:
    """The archive that Beam made of `./setup.py`, as the graph's environments name it."""
    for environment in graph.components.environments.values():
        for artifact in environment.dependencies:
            staged = beam_runner_api_pb2.ArtifactStagingToRolePayload.FromString(artifact.role_payload)
            if staged.staged_name == "workflow.tar.gz":
                file = beam_runner_api_pb2.ArtifactFilePayload.FromString(artifact.type_payload)
                return Path(file.path)
    return None


def package_problems(package: Path | None) -> Iterator[str]:
    """Modules, rules and views of the checkout that the package lacks."""
    if package is None or not package.is_file():
        yield "no package of the project is staged"
        return
    with tarfile.open(package) as archive:
        staged = {name.partition("/")[2] for name in archive.getnames()}
    yield from (f"the staged package has no {path}" for path in needed() if path not in staged)


def needed() -> list[str]:
    """What a worker may need, as paths below the checkout."""
    files = (path for floor in FLOORS for path in Path(ROOT, floor).rglob("*") if path.suffix in SUFFIXES)
    return sorted(path.relative_to(ROOT).as_posix() for path in files)
