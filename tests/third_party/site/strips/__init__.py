"""Plugins of a third party: strips of numbers, a small network for them, and a kind with one label per step."""
