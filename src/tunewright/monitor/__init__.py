"""What happens after release: the events of serving. Imports no torch."""
