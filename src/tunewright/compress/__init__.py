"""Making a bundle smaller or faster: one file = one step, which changes a copy; whoever calls it judges the copy.

A file here holds ``SETTINGS`` (names, in the order in which they are tried: the fastest or smallest first),
``run(copy, setting)``, which changes the files of a ``Copy`` and notes what it left as it was, and maybe
``READS_TEXTS`` (it needs texts beside those that the copy will be judged on).
"""
