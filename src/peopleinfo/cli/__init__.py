"""The `peopleinfo` command: one module per command group. A command imports no unused module."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from peopleinfo import signals
from peopleinfo.cli import (
    audit,
    backup,
    changes,
    copy,
    doctor,
    duplicates,
    encryption,
    exports,
    history,
    import_history,
    imports,
    keys,
    merges,
    person,
    reindex,
    retention,
    search,
    serve,
    stats,
    store,
    trash,
)
from peopleinfo.cli.renamed_commands import reject_renamed
from peopleinfo.errors import InvalidSearch, InvalidSettings, PeopleInfoError
from peopleinfo.settings import is_service_link

app = typer.Typer(
    name="peopleinfo",
    help="Store, search and serve person records.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _start(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=doctor.print_version),
    ] = False,
) -> None:
    if context.invoked_subcommand != "version":
        from peopleinfo.telemetry import logs

        logs.silence()  # commands report their own errors; `serve` configures logging later


app.command()(serve.serve)
app.command("import")(imports.import_)
app.command()(exports.export)
app.command()(backup.backup)
app.command()(backup.restore)
app.command()(copy.copy)
app.command()(reindex.reindex)
app.command()(stats.stats)
app.command()(search.search)
app.command()(search.count)
app.command()(search.get)
app.command()(duplicates.match)
app.command()(history.history)
app.command("restore-version")(history.restore_version)
app.command()(changes.changes)
app.command()(merges.merge)
app.command()(doctor.doctor)
app.add_typer(duplicates.app)
app.add_typer(import_history.app)
app.add_typer(person.app)
app.add_typer(merges.app)
app.add_typer(trash.app)
app.add_typer(retention.app)
app.add_typer(keys.app)
app.add_typer(audit.app)
app.add_typer(store.app)
app.add_typer(encryption.app)
app.command()(serve.openapi)
app.command()(doctor.version)


def main() -> None:
    """Run the command line.

    An expected error prints one message on stderr. The exit status is 2 for invalid settings or filters, 1 for other errors.
    """
    try:
        _drop_service_links()
        reject_renamed(sys.argv[1:])
        signals.react(None if signals.is_service() else signals.terminate)
        try:
            app(prog_name="peopleinfo")
        except SystemExit:
            sys.stdout.flush()  # raises OSError here when the disk is full
            raise
    except signals.Terminated as termination:
        if termination.exit_code:
            print(f"peopleinfo: {termination}", file=sys.stderr)
        _discard_output()
        raise
    except PeopleInfoError as error:
        print(f"peopleinfo: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InvalidSettings | InvalidSearch) else 1)
    except BrokenPipeError:  # the reader of stdout has closed it
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.errno is None:
            _crash(error)
        print(f"peopleinfo: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)
        _discard_output()
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - reported, without the message
        _crash(error)


def _crash(error: Exception) -> NoReturn:
    """Print the traceback of an unexpected error without its message, which may contain personal data."""
    traceback.print_tb(error.__traceback__)
    print(f"peopleinfo: {type(error).__name__}: internal error, please report it", file=sys.stderr)
    sys.exit(1)


def _drop_service_links() -> None:
    """Remove Kubernetes service links from the environment: Typer would read `PEOPLEINFO_PORT` as the option."""
    for name, value in list(os.environ.items()):
        if is_service_link(name, value):
            del os.environ[name]


def _discard_output() -> None:
    """Discard buffered output. Otherwise the interpreter blocks at exit until another process reads the pipe."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
