"""What computes when a bundle serves: numpy, onnxruntime and tokenizers. torch is never imported here."""
