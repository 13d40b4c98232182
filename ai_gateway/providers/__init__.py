"""Whom we call (data) and the wire formats they speak (code)."""
