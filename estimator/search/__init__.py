"""What fits and what it costs to rent: the market, training candidates, replica types, changes that help."""
