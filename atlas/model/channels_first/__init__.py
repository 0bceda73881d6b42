"""Networks with channels first, of PyTorch and ONNX, written anew as TensorFlow graphs with channels last."""
