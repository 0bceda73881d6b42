"""Analysis of weights: expanded weights, connections, factors, families, statistics.

Other rooms use:

    weights: expanded weights of a pair of layers.
    connections: the strongest connections, with coverage.
    cancellation: positive and negative contributions, and how much cancels.
    nmf: weights factorized.
    families: groups of neurons: their factors, and proposals of such groups.
    statistics: statistics of each neuron, and the neurons most similar to it.
    filters: the filters of the first layer.
    image_pass: a folder of images goes through the network once, whatever is measured on it.
    examples: the images of a folder that excite each neuron most.
    ranges: images from the whole range of each neuron.
    distribution: how each neuron's activations are distributed over images.
    fidelity: how well expanded weights predict each neuron on images.
    accuracy: how many classes of a labelled folder's images a network names.
    neighbours: the kernel between two neurons, and the neurons that one is connected to most.
    circuits: any neurons and the expanded weights between them.
    sheets: the factors of every neuron in one picture.
"""
