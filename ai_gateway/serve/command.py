"""What `python app.py` does: checks, then the supervisor, and one clear line for each fault."""

import os
from pathlib import Path

from ai_gateway.serve.checks import hold_data_folder, refuse_missing_secrets, refuse_taken_port
from ai_gateway.serve.programs import Programs
from ai_gateway.serve.signals import Signals, StopRequested
from ai_gateway.serve.supervisor import Supervisor
from ai_gateway.serve.words import StartError, say
from ai_gateway.settings import SettingsError, read_settings
from ai_gateway.stores.embedded import EmbeddedStoreError

PROJECT_FOLDER = Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 60.0
DID_NOT_START = 2


def main(
    project: Path = PROJECT_FOLDER, *, ready_within_seconds: float = READY_WITHIN_SECONDS
) -> int:
    """Serve until a signal comes and return the exit code.

    `project` is the folder of the application's `app.py`; tests serve one of their own.
    """
    try:
        settings = read_settings(os.environ)
        refuse_missing_secrets(settings)
        with Signals() as signals, hold_data_folder(settings, signals) as lock:
            refuse_taken_port(settings.host, settings.port)
            programs = Programs(settings, project)
            supervisor = Supervisor(programs, signals, lock=lock)
            return supervisor.run(ready_within_seconds=ready_within_seconds)
    except StopRequested:
        return 0
    except (SettingsError, EmbeddedStoreError, StartError) as error:
        say(str(error))
        return DID_NOT_START
