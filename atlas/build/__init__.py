"""A config and a network become a store.

Other rooms use:

    compute: makes what is missing or stale, stage by stage.
    freshness: what is stale, and why; no TensorFlow.
    demo_images: the images that the demo atlas has as its dataset examples.
"""
