"""What is added to the loss or wrapped around a step: one file = one objective, a module with ``wrap``."""
