"""What is trained on what, and how far it has come: plain records that the boundary makes and both twins take."""
