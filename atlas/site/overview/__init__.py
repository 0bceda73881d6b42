"""Pages of many neurons: home, layers, families, method, sheets and tables."""
