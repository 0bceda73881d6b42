"""The makers of each stage's artefacts: a file for stages that belong together, named as in `plan`."""
