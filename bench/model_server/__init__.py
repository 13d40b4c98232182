"""`python -m bench.model_server`: does the ledger count what a real model server counts?

A model server of other people is installed into an environment of its own, with a tiny model that
is made here: its answers are nonsense, but its tokens are real and can be counted anew.
"""
