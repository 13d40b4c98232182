"""State: the SQL tables and the Redis scripts. One method is one short transaction."""
