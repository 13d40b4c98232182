"""The ways to people: mail and webhook. The only place that sends anything to them.

A sibling of stores, providers and telemetry, since it is none of them: it keeps nothing, no call
waits for it, and it does not listen to calls but says what it is told to. Addresses are the
operator's alone; redirects are not followed, and proxies of the environment are not used.
"""
