"""The activations that PyTorch has no modules for; imported only where a network is written."""

import torch


class Exp(torch.nn.Module):
    """``exp(z)``."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The exponential of each number."""
        return torch.exp(z)


class Ascending(torch.nn.Module):
    """``z_0, z_0 + softplus(z_1), ...``: in ascending order."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The cumulative sums of each row."""
        increments = torch.nn.functional.softplus(z[..., 1:], threshold=40)
        return torch.cumsum(torch.cat([z[..., :1], increments], dim=-1), dim=-1)


class Sin(torch.nn.Module):
    """``sin(z)``."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The sine of each number."""
        return torch.sin(z)
