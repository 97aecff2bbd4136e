"""Who follows a training from outside. One file each; see ``core/journal.py`` for what they are told."""
