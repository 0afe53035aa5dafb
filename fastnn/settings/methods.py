"""The methods of a network that take one sample, as far as they need scratch."""

METHODS = ("forward", "jacobian", "vjp", "jvp", "hessian", "vjp_params", "hvp", "taylor", "taylor_vjp_params")
