"""Use cases. They know no Flask, no SQL and no Redis command."""
