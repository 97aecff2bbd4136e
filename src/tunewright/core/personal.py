"""Names of the personal data that are known by their form: addresses, numbers, and dates of birth."""

from __future__ import annotations

from typing import Literal, get_args

Personal = Literal["email", "phone", "card", "iban", "ip", "cn_id", "ssn", "birth"]
PII: tuple[str, ...] = get_args(Personal)
