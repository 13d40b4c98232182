"""Measures what a call costs here, against nginx as a plain pass-through, in one run."""
