"""A local stand-in for AI providers: real wire formats, no network, no cost, knobs for faults.

It is a process of its own (``python -m simulator``) and imports nothing from ``ai_gateway``, so
that what the gateway believes about the wire is checked by something that does not share the
belief. Start with ``application.py``; the addresses are listed in ``places.py``, the knobs in
``scenario.py``, the vendors in ``vendors.py``.
"""
