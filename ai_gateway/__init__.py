"""The AI Gateway: forwards calls to AI providers, meters them and holds every user to a budget."""

__version__ = "0.1.0"
