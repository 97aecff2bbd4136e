"""How raw inputs become arrays: one file = one modality. numpy only, the same code in training and serving."""
