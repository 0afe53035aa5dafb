"""What an `MLP` can be turned into to run elsewhere."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastnn.settings.spec import NetworkSpec


class Exports:
    """The methods of an `MLP` that write it for other packages and languages."""

    _spec: NetworkSpec
    _params: NDArray

    def to_torch(self) -> Any:
        """The network as a ``torch.nn.Sequential``, which shares nothing with it.

        Returns
        -------
        torch.nn.Sequential
            Of ``Linear`` and activation modules, on the CPU, of the network's dtype, its parameters trainable.

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        """
        from fastnn.exchange import torch

        return torch.write(self._spec, self._params)
