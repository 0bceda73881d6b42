"""A graph made fit to be read: sizes made free, inputs taken apart, training ops removed."""
