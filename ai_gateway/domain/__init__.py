"""Pure rules: no I/O, no framework, no clock. The moment is always an argument."""
