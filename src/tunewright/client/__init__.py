"""The client of a service: answers as typed values, retries that heed the service, errors with their remedy.

Importing it loads no HTTP library; making a client does.
"""

from tunewright.client.answers import Bundle, Explanation, Piece, Prediction, Target
from tunewright.client.client import AsyncClient, Client
from tunewright.client.conversation import Refused
from tunewright.kinds._answers import Candidate

__all__ = [
    "AsyncClient",
    "Bundle",
    "Candidate",
    "Client",
    "Explanation",
    "Piece",
    "Prediction",
    "Refused",
    "Target",
]
