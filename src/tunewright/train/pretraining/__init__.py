"""Pretraining on texts without labels: objectives, corpus, and the backbone that comes out."""
