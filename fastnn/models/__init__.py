"""What a user holds: a network, an ensemble, and the files that they are kept in."""
