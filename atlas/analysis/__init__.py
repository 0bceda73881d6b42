"""What weights say: expanded weights, connections, factors, families, statistics.

Other rooms use:

    weights: expanded weights of a pair of layers.
    connections: the strongest connections, with coverage.
    cancellation: positive and negative contributions, and how much cancels.
    nmf: weights factorized.
    families: neurons taken together: their factors, and those that are proposed.
    statistics: statistics of each neuron, and the neurons most similar to it.
    filters: the filters of the first layer.
    examples: a folder of images: those that excite each neuron most.
    neighbours: two neurons and their kernel; one neuron and those it is connected to most.
    circuits: any neurons and the expanded weights between them.
    sheets: the factors of every neuron in one picture.
"""
