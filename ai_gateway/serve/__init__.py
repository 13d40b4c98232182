"""The supervisor behind `python app.py`: every process of one host, started, watched and stopped.

It imports no application: what it supervises are commands.
"""

from ai_gateway.serve.command import main

__all__ = ["main"]
