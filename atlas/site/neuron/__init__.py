"""A neuron's page: a file a section, its records beside the function that fills them."""
