"""`flask doctor`: the set-up checklist of the home page, for a terminal and for scripts."""

import click

from ai_gateway.cli.options import Commands, with_context
from ai_gateway.services.checklist import ChecklistLine, LineState, is_complete

STATE_WIDTH = max(map(len, LineState))


def doctor_command(commands: Commands) -> click.Command:
    @click.command(
        "doctor", help="Show what is set up and what is left; exit 1 where calls cannot be served."
    )
    def doctor() -> None:
        lines = commands.checklist.lines()
        for line in lines:
            click.echo(_words(line))
        if not is_complete(lines):
            raise SystemExit(1)

    return with_context(doctor)


def _words(line: ChecklistLine) -> str:
    words = f"{line.state:<{STATE_WIDTH}}  {line.name}"
    step = f"{line.next_step.words} {line.next_step.text}".rstrip()
    more = step if line.is_left else line.remark
    return f"{words}\n{'':<{STATE_WIDTH}}  {more}" if more else words
