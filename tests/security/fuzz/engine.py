"""One target under atheris, in a process of its own: libFuzzer ends it when it is done.

`python -m tests.security.fuzz.engine TARGET`, then libFuzzer's own options.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ai_gateway", "tomllib"]):
    from tests.security.fuzz.targets import TARGETS


def main() -> None:
    _, name, *options = sys.argv
    atheris.Setup([sys.argv[0], *options], TARGETS[name].check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
