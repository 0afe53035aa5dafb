"""A network as an argument of the user's own ``@njit`` function.

    @njit
    def simulate(net, state, out, steps):
        for _ in range(steps):
            net.forward(state, out)
            state += out

Importing this registers the Numba type of `fastnn.MLP`; ``MLP`` does so when Numba first asks for its type.
"""

from numba.core.registry import cpu_target

from fastnn.embed import domain as domain
from fastnn.embed import gradients as gradients
from fastnn.embed import methods as methods
from fastnn.embed import second_order as second_order
from fastnn.embed.types import NetworkType, type_of

# A network that is a global is met while Numba compiles: it must know by then what it is told of networks.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()

__all__ = ["NetworkType", "type_of"]
