"""Feature visualization: an image for each neuron, by optimization, many neurons at a time."""
