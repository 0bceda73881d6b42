"""Sources of networks: zoo, manifest, Keras, SavedModel, frozen graphs; their preprocessing."""
