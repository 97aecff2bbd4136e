"""Rows: where they lie, how they are read, checked and split. polars and numpy only."""
