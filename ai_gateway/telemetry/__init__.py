"""Listeners: they see facts after they happened, may fail, and cost nothing when off."""
