"""Which parameters move and how: one file = one method, a module with ``fit(context) -> Fitted``."""
