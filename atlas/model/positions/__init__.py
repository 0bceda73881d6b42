"""Which positions of its inputs each position of a tensor reads: windows, layouts, receptive fields."""
