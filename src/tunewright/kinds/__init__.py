"""What can be predicted: one file = one kind. numpy only, the same code in training, judging and serving."""
