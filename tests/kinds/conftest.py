"""Property tests may take their time: what matters here is not how quick a busy machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
