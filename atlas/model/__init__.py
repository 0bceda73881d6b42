"""Networks: read from any source, their layers, and the linear network inside them.

Other rooms use:

    network: Network: a frozen graph, its layers, how images enter it.
    carriers: which layers are chosen, what carries a layer on, which layer comes before and after.
    reading.load: load_model: any source becomes a Network.
    reading.preprocessing: mean, std and order of channels that a graph lacks, and their usual values.
    reading.source: what a source names, and the digest of its files; no TensorFlow.
    graph.backend: TensorFlow, imported quietly.
    graph.view: GraphView: the nodes of a GraphDef with their readers, and names of tensors.
    graph.ops: the table of ops.
    graph.branches: the branches of a concatenation.
    graph.fusions: whether TensorFlow may fuse the ops of a network.
    graph.admission: what is refused before TensorFlow runs a graph.
    cleaning.importing: a GraphDef put into a tf.Graph.
    positions.axes: what the axes of a tensor stand for.
    positions.layout: which positions of its inputs each position of a tensor reads.
    positions.map_steps: how ops over maps read positions.
    positions.steps: how an op reads positions.
    positions.windows: intervals of positions.
    linear.linearize: LinearTwin: the network between two tensors with every nonlinearity passed through.
    linear.composition: a linear twin composed into expanded weights, chunk by chunk.
    demo.drawings: the drawings that the demo network is trained on.
"""
