"""`flask demo-data`: 30 days of made-up people and calls, sent through the whole application.

`cast` says who there is and what they call, `plan` what happens when, `stage` lets it happen.
The history is made in this process with a clock of its own, so that the workers' metrics do not
know it; the calls themselves are real ones, to the simulator.
"""

from ai_gateway.cli.demo.command import demo_command

__all__ = ["demo_command"]
