"""The service: bundles answered over HTTP. Imports no torch.

``run.serve(folders)`` starts it; ``http.application(predictors)`` is the ASGI application for a server of your own.
"""
