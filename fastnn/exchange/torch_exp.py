"""The one activation that PyTorch has no module for; the only file that imports PyTorch, when a network is written."""

import torch


class Exp(torch.nn.Module):
    """``exp(z)``."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The exponential of each number."""
        return torch.exp(z)
