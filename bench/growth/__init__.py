"""Measures what grows with users, rows and series, and what that means for scaling out."""
