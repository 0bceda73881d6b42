"""A neuron's page: each section has a file, with its records and the function that fills them."""
