"""Where models come from, and the linear network inside them."""

import os

# TensorFlow reads this once, when it is first imported; `backend` keeps the rest of its notes quiet.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
