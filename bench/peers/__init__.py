"""Gateways by others, installed into folders of their own and started as their makers say."""
