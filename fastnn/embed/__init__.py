"""A network as an argument of the user's own ``@njit`` function.

    @njit
    def simulate(net, state, out, steps):
        for _ in range(steps):
            net.forward(state, out)
            state += out

Importing this package registers the Numba type of `fastnn.MLP`, which ``MLP`` does when Numba first asks for its type.
"""

from fastnn.embed import domain as domain
from fastnn.embed import gradients as gradients
from fastnn.embed import methods as methods
from fastnn.embed import operators as operators
from fastnn.embed import second_order as second_order
from fastnn.embed.fields import announce
from fastnn.embed.types import NetworkType, type_of

announce()

__all__ = ["NetworkType", "type_of"]
