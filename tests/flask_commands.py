"""Runs `flask` commands one after another in one process: see `tests.running.Commands`.

Reads a line of JSON for each command (a list of arguments), and answers with a line of JSON: the
exit code, the standard output and the standard error.
"""

import json
import sys

from ai_gateway.factory import create_app


def main() -> None:
    runner = create_app().test_cli_runner()
    for line in sys.stdin:
        done = runner.invoke(args=json.loads(line))
        print(json.dumps([done.exit_code, done.stdout, done.stderr]), flush=True)


if __name__ == "__main__":
    main()
