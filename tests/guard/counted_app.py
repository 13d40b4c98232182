"""The application with a counter inside: `gunicorn tests.guard.counted_app:app`."""

import ctypes
from contextlib import suppress

from ai_gateway.factory import create_app
from tests.guard.counter import counted

PR_SET_PTRACER, ANYBODY = 0x59616D61, ctypes.c_ulong(-1)


def _may_be_watched() -> None:
    """Let strace look on where only a parent may: Linux with Yama (prctl(2))."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)


_may_be_watched()
app = create_app()
app.wsgi_app = counted(app.wsgi_app)  # type: ignore[method-assign, assignment]  # Flask's own way
