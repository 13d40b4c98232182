"""The boards as code: tables of panels, and what turns them into Grafana's JSON."""
