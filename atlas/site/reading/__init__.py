"""Everything that pages read from the store: decoded artefacts, and names and addresses of neurons."""
