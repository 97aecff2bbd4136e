"""A few callers that ask all the time and count what they lose."""

from __future__ import annotations

import http.client
import json
import threading

BODY = json.dumps({"inputs": ["where is my order?"]})


class Callers:
    """A few callers that ask all the time, each over a connection that it keeps as long as the service does."""

    def __init__(self, address: str, number: int = 4) -> None:
        self.address = address
        self.statuses: list[int] = []
        self.lost: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def __enter__(self) -> Callers:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()
        for one in self._threads:
            one.join()

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        while not self._over.is_set():
            try:
                connection.request("POST", "/predict", BODY, {"Content-Type": "application/json"})
                response = connection.getresponse()
                answer = json.loads(response.read())
                self.statuses.append(response.status if "predictions" in answer else -1)
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost.append(repr(error))
                connection.close()
        connection.close()
