"""The pages of whoever is logged in, with a role or without: own use, keys, and what to set where.

Whose they are comes from the session alone: no address and no form of theirs names a user.
"""
