"""Access: who may ask, how often, and by which name the service is called."""
