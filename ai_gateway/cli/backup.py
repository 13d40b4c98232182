"""`flask backup`: the embedded database as one file, while calls go on."""

from pathlib import Path

import click

from ai_gateway.cli.options import Commands, one_line_errors, with_context


def backup_command(commands: Commands) -> click.Command:
    """`flask backup FILE`."""

    @click.command("backup", help="Copy the embedded database into a new file; calls go on.")
    @click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
    def backup(file: Path) -> None:
        if not commands.database_copy.is_possible:
            raise click.ClickException("the database is PostgreSQL: use pg_dump")
        try:
            with one_line_errors():
                commands.database_copy.write(file)
        except FileExistsError as error:
            raise click.ClickException(f"{file} is there already: name a new file") from error
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written: {error.strerror}") from error
        click.echo(f"{file} has the whole database; docs/operating.md says what else to keep.")

    return with_context(backup)
