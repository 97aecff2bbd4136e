"""What can be audited: a bundle, a service behind HTTP, or any function. One file each; all of them are a ``Model``."""

from tunewright.pipeline.models.bundle import Bundle
from tunewright.pipeline.models.model import Model, model_of

__all__ = ["Bundle", "Model", "model_of"]
