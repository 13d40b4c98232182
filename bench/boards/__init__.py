"""Draws Grafana's boards over a day of demo traffic, with Grafana's own components."""
