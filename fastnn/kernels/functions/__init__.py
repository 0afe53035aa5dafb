"""Mathematics on one vector: activations, losses, update rules, random numbers."""
