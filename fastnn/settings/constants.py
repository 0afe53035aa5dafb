"""Numbers in formulas and checks, which more than one room takes from here; the activations' are PyTorch's."""

from math import pi, sqrt

# leaky_relu(z) = max(z, slope z) (Maas, Hannun and Ng, 2013).
LEAKY_SLOPE = 0.01

# selu(z) = scale z where z > 0, else scale alpha (exp(z) - 1) (Klambauer et al., 2017): with these two, mean 0
# and variance 1 carry over from layer to layer.
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
SELU_SCALE_ALPHA = SELU_SCALE * SELU_ALPHA

# gelu_tanh(z) = z sigmoid(factor (z + cubic z**3)) (Hendrycks and Gimpel, 2016), factor being 2 sqrt(2 / pi).
GELU_FACTOR, GELU_CUBIC = sqrt(8 / pi), 0.044715
GELU_FACTOR_CUBIC = GELU_FACTOR * GELU_CUBIC

# What a gradient is scaled by, in float32 and float64, where the sum of its squares overflows before it is clipped.
CLIPPING_UNIT_32, CLIPPING_UNIT_64 = 2.0**-80, 2.0**-600

# How far a sum of probabilities may be from 1: more than by rounding, less than in a row that is no distribution.
SUM_TOLERANCE = 1e-3
