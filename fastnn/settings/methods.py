"""The methods of a network, for one sample or several, that need scratch."""

METHODS = ("forward", "jacobian", "vjp", "jvp", "hessian", "vjp_params", "hvp", "taylor", "taylor_vjp_params")
