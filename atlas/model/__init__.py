"""Where models come from, and the linear network inside them."""
