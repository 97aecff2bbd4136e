"""Several processes and machines: trainings by gradient sent away through Ray, and what travels."""
