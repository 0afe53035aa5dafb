"""The numbers that the elementary functions are computed with, in the kernels and in the C of `fastnn.exchange`.

The coefficients are minimax fits (Remez's algorithm in multiple precision), rounded; each comment says on
which interval, and with which largest relative error.
"""

LOG2_E = 1.4426950408889634
LN2 = 0.6931471805599453
# What ln 2 has beyond its nearest number.
LN2_REST_32, LN2_REST_64 = -1.904654299957768e-09, 2.3190468138462996e-17

# ln 2 in two parts, the first so short that its product with any exponent is exact.
LN2_HIGH_32, LN2_LOW_32 = 0.693145751953125, 1.4286068203094173e-06
LN2_HIGH_64, LN2_LOW_64 = 0.6931471805598903, 5.497923018708371e-14

# 1.5 * 2**(mantissa bits): added to a number n it leaves the nearest whole number in the lowest bits;
# with the exponent's bias on top, those bits are the exponent field of 2**n.
SHIFTER_32, SHIFTER_64 = 12582912.0 + 127.0, 6755399441055744.0 + 1023.0

# (exp(r) - 1 - r) / r**2 on |r| <= ln(2) / 2; error of exp(r) 2**-26.2, 2**-55.6.
EXP_32 = (0.5, 0.16666543, 0.04166628, 0.008366584, 0.0013946451)
EXP_64 = (
    0.5000000000000006,
    0.16666666666666685,
    0.04166666666657362,
    0.008333333333314602,
    0.0013888888932379715,
    0.00019841269903009037,
    2.4801504444916253e-05,
    2.7557227973772424e-06,
    2.762632691727211e-07,
    2.5114466705486094e-08,
)

# tanh(r / 2) = (r + r**3 P(r**2)) / Q(r**2) on |r| <= ln(2) / 2; error 2**-28.8, 2**-57.3.
HALF_TANH_P = (0.027774844305524559, 6.608871014549043e-05)  # none in float32
HALF_TANH_Q_32 = (2.0, 0.16666626, -0.0027667585)
HALF_TANH_Q_64 = (2.0, 0.22221635527771291, 0.001983540360333614)


def _at_twice(factor: float, coefficients: tuple[float, ...]) -> tuple[float, ...]:
    """The coefficients, in r**2, of `factor` times a polynomial in (2 r)**2; exact, as the factor is a power of two."""
    return tuple(factor * 4.0**k * c for k, c in enumerate(coefficients))


# The same fraction: tanh(r) = (r + r**3 P(r**2)) / Q(r**2) on |r| <= ln(2) / 4.
TANH_P = _at_twice(4.0, HALF_TANH_P)
TANH_Q_32, TANH_Q_64 = _at_twice(0.5, HALF_TANH_Q_32), _at_twice(0.5, HALF_TANH_Q_64)

# (2 atanh(s) / s - 2) / s**2 in s**2, on |s| <= (sqrt 2 - 1) / (sqrt 2 + 1); error of atanh 2**-30.2, 2**-59.4.
LOG_32 = (0.66666776, 0.39977536, 0.29871863)
LOG_64 = (
    0.6666666666666713,
    0.39999999999524793,
    0.28571428721952313,
    0.22222200402003398,
    0.18183479105175304,
    0.15316042785941616,
    0.1477748645224956,
)

# (e - log(1 + e)) / e**2 on 0 <= e <= 1; error of log(1 + e) 2**-27.3, 2**-56.2.
LOG1P_32 = (
    0.4999997,
    -0.3333142,
    0.24967015,
    -0.19735026,
    0.15461633,
    -0.10849945,
    0.059254065,
    -0.021015307,
    0.0034918264,
)
LOG1P_64 = (
    0.49999999999999944,
    -0.3333333333330119,
    0.24999999996947161,
    -0.1999999987581641,
    0.16666663836808687,
    -0.14285673105372385,
    0.1249958653970625,
    -0.11108098170179924,
    0.09983490952447997,
    -0.09021107177803948,
    0.0810105715820723,
    -0.0707422757519532,
    0.05809150495439752,
    -0.04299895473932283,
    0.027381285520522547,
    -0.014276811116919667,
    0.005762745647033002,
    -0.001671432051143883,
    0.0003077909450967593,
    -2.6902184089689474e-05,
)

# pi in four parts, the first three so short that their products with the multiples that are taken off are exact.
PI_32 = (3.140625, 0.0009675025939941406, 1.5099067240953445e-07, 5.126688303189038e-12)
PI_64 = (3.1415926534682512, 1.2154201012607932e-10, 4.044532497422333e-21, 1.69568553207378e-31)
ONE_BY_PI = 0.3183098861837907

# Up to where those multiples are short enough.
TURNS_32, TURNS_64 = 8192.0, 1048576.0

# (sin(r) / r - 1) / r**2 in r**2, on |r| <= pi / 2; error of sin(r) 2**-27.2, 2**-61.6.
SIN_32 = (-0.1666666, 0.008333063, -0.00019809352, 2.6051955e-06)
SIN_64 = (
    -0.16666666666666666,
    0.008333333333333191,
    -0.00019841269841207763,
    2.755731921088093e-06,
    -2.5052106848762935e-08,
    1.6058938470506582e-10,
    -7.642958672959733e-13,
    2.720822751397488e-15,
)
