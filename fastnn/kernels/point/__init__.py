"""One sample through a network whose sizes the compiler knows: what is called from inside a simulation.

The features of a layer lie side by side in the lanes of a few vectors, which stay in registers while the inputs go
by, one after another. A sum whose terms came one after another would wait for each of them, so it is taken in several
parts, which are joined at the end.

The recursion over the layers is unrolled by the compiler: an ``@overload`` for each layer, which reads its sizes off
the `Architecture`. Scratch is a pointer that the caller provides; `scratch_size` says how much it takes. A place that
is read or written number by number is a pointer and a stride, the distance from one number to the next.

- `forward`: the outputs, by `layer`, one layer, and its `products`; `batch`: the same for several samples together.
- `vjp`, `jacobian`, `hessian`: derivatives with respect to the inputs.
- `series`: outputs with their slopes and curvatures along a direction; `adjoint`: the way back through these, to the
  gradients of parameters and inputs; `back`: a layer's weights on any way back.
- `scratch`: how much scratch each of them takes, and where in it is what.
"""

from fastnn.kernels.point.adjoint import curvature_vjp_params, hvp, slope_vjp_params, vjp_params, vjp_with_params
from fastnn.kernels.point.batch import forward_batch
from fastnn.kernels.point.forward import forward
from fastnn.kernels.point.hessian import hessian
from fastnn.kernels.point.jacobian import jacobian
from fastnn.kernels.point.scratch import batch_rows, batch_scratch, jacobian_rows, jacobian_scratch, scratch_size
from fastnn.kernels.point.series import curvatures, jvp, slopes
from fastnn.kernels.point.vjp import vjp

__all__ = [
    "batch_rows",
    "batch_scratch",
    "curvature_vjp_params",
    "curvatures",
    "forward",
    "forward_batch",
    "hessian",
    "hvp",
    "jacobian",
    "jacobian_rows",
    "jacobian_scratch",
    "jvp",
    "scratch_size",
    "slope_vjp_params",
    "slopes",
    "vjp",
    "vjp_params",
    "vjp_with_params",
]
