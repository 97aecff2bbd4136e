"""One file = one way in which rows lie in files. A file's stem is the format's name."""
