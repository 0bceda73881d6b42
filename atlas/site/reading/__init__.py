"""The store as pages read it: decoded artefacts, names and addresses."""
