"""The way in: run, it serves the gateway; imported, it builds the application as `app`.

This file has to parse on old Pythons too, so that they can say what is wrong.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is the line that says so
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stderr.write("ai-gateway: Python 3.11 or newer is needed; this is " + version + "\n")
    sys.exit(2)

from pathlib import Path

try:
    from dotenv import load_dotenv
except ImportError:
    sys.stderr.write(
        "ai-gateway: packages are missing: run make run, or pip install -r requirements.txt\n"
    )
    sys.exit(2)

load_dotenv(Path(__file__).with_name(".env"))

if __name__ == "__main__":
    from ai_gateway.serve import main

    sys.exit(main())
else:
    # Not at the top: whoever runs this file must not load the application.
    from ai_gateway.factory import create_app
    from ai_gateway.settings import SettingsError
    from ai_gateway.stores.embedded import EmbeddedStoreError

    try:
        app = create_app()
    except (SettingsError, EmbeddedStoreError) as error:
        sys.stderr.write("ai-gateway: " + str(error) + "\n")
        sys.exit(2)
