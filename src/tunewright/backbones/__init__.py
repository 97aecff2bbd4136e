"""Pretrained networks: one file = one family."""
