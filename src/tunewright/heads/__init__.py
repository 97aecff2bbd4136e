"""What stands on an encoder for each kind: pooling, a linear map, a loss. File names pair with kinds/."""
