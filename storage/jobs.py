"""Jobs: what the indexer did, and what it could not do."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    case,
    func,
    insert,
    literal,
    select,
    update,
)

from storage.catalog.column_types import UtcDateTime
from storage.catalog.schema import Failure, Job
from storage.records import FailureRecord, JobRecord


def start_job(engine: Engine, kind: str, checkpoint: str, sources: Sequence[str]) -> int:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        result = connection.execute(
            insert(Job)
            .values(
                kind=kind,
                status="running",
                checkpoint=checkpoint,
                sources=list(sources),
                started_at=now,
                updated_at=now,
                counts={},
            )
            .returning(Job.id)
        )
        return int(result.scalar_one())


def finish_job(
    engine: Engine,
    job_id: int,
    status: str,
    counts: Mapping[str, float],
    error: str | None = None,
) -> None:
    """status: done, interrupted or failed."""
    now = moment_of_update()
    with engine.begin() as connection:
        connection.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(
                status=status, counts=dict(counts), error=error, finished_at=now, updated_at=now
            )
        )


def moment_of_update() -> ColumnElement[datetime]:
    """Now, for a row of `job`; a clock that was set back does not end it before it began."""
    now = literal(datetime.now(UTC), UtcDateTime())
    return case((Job.updated_at > now, Job.updated_at), else_=now)


def mark_dead_jobs(engine: Engine) -> None:
    """Called by whoever holds the write lock: a job still "running" then has lost its process."""
    with engine.begin() as connection:
        connection.execute(
            update(Job)
            .where(Job.status == "running")
            .values(
                status="died",
                finished_at=Job.updated_at,
                error="The process ended without a word. What it had committed is kept; "
                "index the same sources again to go on.",
            )
        )


def list_jobs(engine: Engine, limit: int = 20) -> list[JobRecord]:
    """The latest first."""
    return _jobs(engine, select(Job).order_by(Job.id.desc()).limit(limit))


def get_job(engine: Engine, job_id: int) -> JobRecord | None:
    found = _jobs(engine, select(Job).where(Job.id == job_id))
    return found[0] if found else None


def _jobs(engine: Engine, query: Select[Any]) -> list[JobRecord]:
    with engine.connect() as connection:
        return [JobRecord(**row._mapping) for row in connection.execute(query)]


def list_failures(
    engine: Engine, job_id: int | None = None, limit: int = 1000
) -> list[FailureRecord]:
    """Files that still can't be read: those that job `job_id` met last, or all."""
    query = select(Failure.path, Failure.kind, Failure.reason, Failure.failed_at)
    if job_id is not None:
        query = query.where(Failure.job_id == job_id)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(Failure.path).limit(limit))
        return [FailureRecord(row.path, row.kind, row.reason, row.failed_at) for row in rows]


def count_failures(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(Failure)).scalar_one())
