"""polyglance jobs"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.app import App
from cli.errors import CommandError

if TYPE_CHECKING:
    from storage.records import JobRecord


@click.command("jobs")
@click.argument("job_id", metavar="[ID]", type=click.IntRange(1, 2**63 - 1), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def command(app: App, job_id: int | None, as_json: bool) -> None:
    """Past jobs; with an ID, one of them and the files it could not read."""
    from storage.jobs import get_job, list_failures, list_jobs

    library = app.open_library()
    if job_id is None:
        records = list_jobs(library.engine)
        failures = list_failures(library.engine)
    else:
        record = get_job(library.engine, job_id)
        if record is None:
            raise CommandError(f"There is no job {job_id}; polyglance jobs lists them.")
        records = [record]
        failures = list_failures(library.engine, job_id)
    if as_json:
        facts = {
            "jobs": [_as_json(record) for record in records],
            "failures": [
                {**asdict(each), "path": click.format_filename(each.path)} for each in failures
            ],
        }
        click.echo(json.dumps(facts, default=str))
        return
    if not records:
        click.echo("No jobs yet: polyglance index FOLDER makes the first.")
    for record in records:
        click.echo(_in_words(record))
    if failures:
        click.echo(f"\n{len(failures):,} files can't be read (--retry-failed tries them again):")
        for failure in failures:
            click.echo(f"  {click.format_filename(failure.path)} {failure.reason}")


def _as_json(record: "JobRecord") -> dict[str, Any]:
    return {**asdict(record), "sources": [click.format_filename(s) for s in record.sources]}


def _in_words(record: "JobRecord") -> str:
    counts = record.counts
    took = ""
    if record.finished_at is not None:
        took = f" in {(record.finished_at - record.started_at).total_seconds():.1f} s"
    words = (
        f"{record.id:>4}  {record.started_at.astimezone():%Y-%m-%d %H:%M:%S}  "
        f"{record.kind} {record.status}{took}: {counts.get('embedded', 0):,.0f} embedded, "
        f"{counts.get('failed', 0):,.0f} failed of {counts.get('seen', 0):,.0f} seen in "
        f"{', '.join(click.format_filename(source) for source in record.sources)}"
    )
    return words if record.error is None else f"{words}\n      {record.error}"
