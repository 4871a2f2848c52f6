"""The command line's entry: global options, the list of commands, and what errors look like."""

import importlib
import keyword
import logging
import os
import signal
import sys
from pathlib import Path

import click

from cli.app import App
from cli.errors import is_expected
from cli.waiting import wait_briefly

COMMANDS = {
    "index": "Index folders, files or lists of pictures.",
    "search": "Search from the shell.",
    "serve": "Serve the pages and the API.",
    "mcp": "Serve the library to assistants, by the Model Context Protocol.",
    "demo": "Index a few sample pictures and serve them.",
    "classify": "Which of some labels a picture is of, in any language.",
    "status": "What is in the library.",
    "jobs": "Past jobs, and the files that could not be read.",
    "doctor": "Check that the library is whole, and mend it.",
    "collections": "Collections, and how many pictures each has; rename one.",
    "remove": "Forget pictures; their files stay.",
    "remap": "Say where a folder has moved.",
    "export": "Write embeddings and facts as Parquet, clip-retrieval folders or npy.",
    "import": "Take in embeddings that were made elsewhere with the same model.",
    "watch": "Keep indexing what changes.",
    "reindex": "Build the index anew, or move to another model.",
    "duplicates": "Copies of pictures, exact and near.",
    "eval": "How well pictures are found by captions of them, language by language.",
    "keys": "Make and revoke the keys that let programs and people in.",
}


class LazyCommands(click.Group):
    """Loads a command's module when it is run, so that `--help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command = importlib.import_module(f"cli.commands.{module}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="Configuration file  [default: config.yaml, if there is one here]",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the library lies.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say more in the log.")
@click.version_option(package_name="polyglance")
@click.pass_context
def polyglance(
    ctx: click.Context, config_file: Path | None, data_dir: Path | None, verbose: bool
) -> None:
    """Find pictures by what is in them, asked for in any language."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    ctx.obj = App(config_file, data_dir)


def main() -> None:
    """Exit status: 0 done; 1 failed; 2 wrong usage; 130 interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wait_briefly(os.environ)
    try:
        status = polyglance.main(prog_name="polyglance", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:
        if not is_expected(error):
            raise
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)
