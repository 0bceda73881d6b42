"""Pages on many neurons: home, layers, families and method, with their sheets and tables."""
