"""Losses and activations of your own: rows beside the catalogue's, made of scalar functions of the user's.

A row's name is the user's and a fingerprint of the functions, and its code is that fingerprint: whatever is compiled,
kept or saved by either knows one version of the functions from another.
"""

from fastnn.settings.own.activations import Activation as Activation
from fastnn.settings.own.activations import lacking as lacking
from fastnn.settings.own.functions import elementwise as elementwise
from fastnn.settings.own.functions import or_nan as or_nan
from fastnn.settings.own.losses import LeastSquares as LeastSquares
from fastnn.settings.own.losses import Loss as Loss
from fastnn.settings.own.names import plain_name as plain_name
