"""Measures the staff pages and the API before many users and a long ledger."""
