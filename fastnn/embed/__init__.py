"""A network as an argument of the user's own ``@njit`` function.

    @njit
    def simulate(net, state, out, steps):
        for _ in range(steps):
            net.forward(state, out)
            state += out

Importing this package registers the Numba type of `fastnn.MLP`, which ``MLP`` does when Numba first asks for its type.

- `types`, `ensembles`: the Numba types of networks and ensembles; `fields`: what they have in common; `operators`:
  ``is``, ``len`` and the like.
- `methods`, `second_order`, `gradients`, `domain`: the methods, each chosen by the types of its arguments.
- `arguments`, `refusals`: what arguments must be, and the errors; `pointers`: what a method asks of its arrays.
- `outside`: a sample outside the domain; `together`: several samples, or rows of a Jacobian, at once.
- `training`: `fastnn.TrainState`; `steps`: the steps taken with it.
- `from_python`: the methods as Python calls them; `cfunction`: a network as a C function.
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
